"""Column groups: columns whose values mean something only together, over many rows.

Examples are the left and right numbers of a nested set, the paths of a materialized path, and the
positions in a list. Their values can't be merged row by row, and they identify no row. A restore
takes over whole tables. A merge that would mix rows of the package and of the target in a group is
refused.

The groups of known base classes are found by the name of the class. The setting COLUMN_GROUPS names
others: `{"app.Model": ["lft", "rgt"]}`. A foreign key among the columns says within what the others
have their meaning: `["playlist", "position"]`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

from django.core.exceptions import FieldDoesNotExist
from django.db import models

from backup_tasks.conf import backup_settings
from backup_tasks.errors import Misconfigured

Model = type[models.Model]
Field: TypeAlias = "models.Field[Any, Any]"


@dataclass(frozen=True, kw_only=True)
class ColumnGroup:
    """Columns of a model that mean something only together."""

    columns: tuple[Field, ...]
    within: tuple[Field, ...]
    """Foreign keys: the columns have their meaning among the rows that share them. Empty: among all
    rows of the table."""
    source: str
    """What says so: a base class, an option of the model, or the setting."""

    def __str__(self) -> str:
        names = ", ".join(field.name for field in self.columns)
        within = ", ".join(field.name for field in self.within)
        return f"{names} within {within}" if within else names


def column_groups(model: Model) -> list[ColumnGroup]:
    """Return the groups of columns of the model's own table. Raises Misconfigured."""
    found = []
    for source, names in [*_known(model), *_configured(model)]:
        fields = [_field(model, name, source) for name in names]
        local = [field for field in fields if field in model._meta.local_concrete_fields]
        columns = tuple(field for field in local if not field.is_relation)
        if columns:
            within = tuple(field for field in local if field.is_relation)
            found.append(ColumnGroup(columns=columns, within=within, source=source))
    return found


def grouped_columns(model: Model) -> set[str]:
    """Return the names of the columns of all groups: none of them identifies a row."""
    return {field.name for group in column_groups(model) for field in group.columns}


def _configured(model: Model) -> Iterator[tuple[str, Sequence[str]]]:
    for name, columns in backup_settings().column_groups.items():
        if name.lower() == model._meta.label_lower:
            yield "COLUMN_GROUPS", columns


def _field(model: Model, name: str, source: str) -> Field:
    try:
        field = model._meta.get_field(name)
    except FieldDoesNotExist:
        field = None
    if not isinstance(field, models.Field) or not field.concrete:
        raise Misconfigured(
            f"{source} names a column that does not exist: {name}",
            obj=model._meta.label,
            hint='Write {"app.Model": ["lft", "rgt"]}: names of fields.',
        )
    return field


def _known(model: Model) -> Iterator[tuple[str, Sequence[str]]]:
    if ordered := cast(Any, model._meta.order_with_respect_to):
        yield "order_with_respect_to", [ordered.name, "_order"]
    classes = {f"{base.__module__}.{base.__qualname__}" for base in model.__mro__}
    for name, columns in _KNOWN_BASES.items():
        if name in classes:
            yield name, columns(model)


def _mptt(model: Any) -> Sequence[str]:
    options = model._mptt_meta
    return [options.left_attr, options.right_attr, options.tree_id_attr, options.level_attr]


def _ordered(model: Any) -> Iterable[str]:
    within = model.order_with_respect_to or ()
    names = [within] if isinstance(within, str) else within
    return [*(name for name in names if "__" not in name), model.order_field_name]


_KNOWN_BASES: dict[str, Callable[[Any], Any]] = {
    "mptt.models.MPTTModel": _mptt,
    "ordered_model.models.OrderedModelBase": _ordered,
    "treebeard.al_tree.AL_Node": lambda model: (
        ("parent",) if model.node_order_by else ("parent", "sib_order")
    ),
    "treebeard.ltree.LT_Node": lambda model: ("path",),
    "treebeard.mp_tree.MP_Node": lambda model: ("path", "depth", "numchild"),
    "treebeard.ns_tree.NS_Node": lambda model: ("lft", "rgt", "tree_id", "depth"),
}
"""By dotted name of a base class: the names of the columns, of a model that has this base."""
