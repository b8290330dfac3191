"""The mapped models of a merge: what identifies the rows of each, and the order to match them
in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from django.db import models

from backup_tasks.rows.column_groups import grouped_columns
from backup_tasks.rows.natural_keys import Identity, Model
from backup_tasks.rows.query import Field

Identities = Mapping[Model, Identity]


@dataclass(frozen=True, kw_only=True)
class MappedModel:
    """A model whose rows are merged, or to which merged rows refer."""

    model: Model
    number: int
    merged: bool
    """False: staging has only the keys of its rows, and the merge writes none of them."""
    paths: tuple[str, ...]
    """The key that messages show for a row: the natural key, or else the primary key."""
    keys: tuple[Field, ...]
    """Foreign keys in the identity of a row. They are compared as the mapping tables translate
    them."""
    values: tuple[str, ...]
    """The rest of the identity: field paths to plain values."""
    by_pk: bool
    """Whether the primary key is the identity, since there is no natural key."""

    @property
    def label(self) -> str:
        return self.model._meta.label_lower

    @property
    def table(self) -> str:
        return self.model._meta.db_table

    @property
    def mapping(self) -> str:
        """Name of its mapping table in staging. `key_matching` describes the columns."""
        return f"merge_{self.number}"

    @property
    def pk(self) -> tuple[Field, ...]:
        """The fields of the primary key: several for a composite one."""
        return pk_fields(self.model)

    @property
    def has_auto_pk(self) -> bool:
        """Whether the database generates the primary keys, so that another number does as well."""
        return isinstance(self.model._meta.pk, models.AutoField)

    @property
    def is_numbered(self) -> bool:
        """Whether its primary keys are numbers that the database generates, here or in the table of
        a parent."""
        field = self.model._meta.pk
        while field.is_relation:
            field = cast(Any, field).target_field
        return isinstance(field, models.AutoField)

    @property
    def written(self) -> list[Field]:
        """The fields whose columns can be written: all but generated ones."""
        return [field for field in self.model._meta.local_concrete_fields if not field.generated]

    def columns(self, kind: str) -> list[str]:
        """Return the primary key's columns in the mapping table: "p" of the package, "t" of
        live."""
        return [f"{kind}{number}" for number in range(len(self.pk))]

    def uniques(self) -> list[tuple[Field, ...]]:
        """Return the unique sets of columns besides the identity. The primary key is the first,
        unless the database generates it. Columns of a group are compared as a group."""
        meta = self.model._meta
        found = [] if self.has_auto_pk else [self.pk]
        found += [(f,) for f in self.written if f.unique and not f.primary_key]
        constraints = [*meta.unique_together, *(c.fields for c in meta.total_unique_constraints)]
        found += [tuple(_column(self.model, name) for name in names) for names in constraints]
        local = set(meta.local_concrete_fields)
        mine = {*self.keys, *(f for f in self.written if f.name in self.values)}
        grouped = grouped_columns(self.model)
        return [
            fields
            for fields in dict.fromkeys(found)
            if local.issuperset(fields)
            and set(fields) != mine
            and grouped.isdisjoint(field.name for field in fields)
        ]


def pk_fields(model: Model) -> tuple[Field, ...]:
    """Return the fields of the model's primary key."""
    pk = model._meta.pk
    if isinstance(pk, models.CompositePrimaryKey):
        return tuple(_column(model, name) for name in pk.field_names)
    return (pk,)


def end_of(model: Model, path: str) -> Field:
    """Return the field at the end of a path."""
    *through, last = path.split("__")
    for name in through:
        model = cast(Model, _column(model, name).related_model)
    return _column(model, last)


def _column(model: Model, name: str) -> Field:
    return cast(Field, model._meta.get_field(name))


def target_of(field: Field) -> Model | None:
    """Return the concrete model that a foreign key refers to; None for other fields."""
    related = cast("Model | None", field.related_model)
    return cast(Model, related._meta.concrete_model) if related else None


def refers_by_pk(field: Field) -> bool:
    """Whether a foreign key holds the primary key of its target, not another unique column."""
    return bool(cast(Any, field).target_field.primary_key)


def mapped_models_of(
    merged: Sequence[Model], outside: Sequence[Model], identities: Identities
) -> list[MappedModel]:
    """Return the mapped models of a merge. `outside` are those that the merged ones refer to."""
    return [
        _mapped_model(model, number, identities, merged=model in merged)
        for number, model in enumerate([*merged, *outside])
    ]


def in_mapping_order(
    mapped_models: Sequence[MappedModel], wanted: Iterable[tuple[MappedModel, MappedModel]]
) -> list[MappedModel]:
    """Return the models, each after those that the foreign keys of its identity refer to: these
    have no cycles.

    `wanted` are further pairs of a model and one that should come before it, the most important
    pair first; one that makes a cycle is ignored. Otherwise models keep their order.
    """
    by_model = {mapped.model: mapped for mapped in mapped_models}
    needs = {
        mapped: [by_model[target] for target in _needs(mapped) if target in by_model]
        for mapped in mapped_models
    }
    for mapped, before in wanted:
        if mapped not in _visited([before], needs):
            needs[mapped].append(before)
    return _visited(mapped_models, needs)


def _visited(
    models: Iterable[MappedModel], needs: Mapping[MappedModel, Sequence[MappedModel]]
) -> list[MappedModel]:
    """Return the models and all that they need, each after what it needs."""
    ordered: dict[MappedModel, None] = {}
    started: set[MappedModel] = set()

    def visit(mapped: MappedModel) -> None:
        if mapped not in started:
            started.add(mapped)
            for before in needs[mapped]:
                visit(before)
            ordered[mapped] = None

    for mapped in models:
        visit(mapped)
    return list(ordered)


def _needs(mapped: MappedModel) -> Iterator[Model]:
    for field in (*mapped.keys, *mapped.pk):
        if target := target_of(field):
            yield target


def _mapped_model(
    model: Model, number: int, identities: Identities, *, merged: bool
) -> MappedModel:
    paths = identities[model].paths
    if any(
        path.rpartition("__")[2] in grouped_columns(end_of(model, path).model) for path in paths
    ):
        paths = ()  # a package from before groups were known
    own = tuple(field.name for field in pk_fields(model))
    by_pk = False
    if not paths:
        fields = _unique_set(model, identities)
        by_pk = not fields
        fields = fields or pk_fields(model)
        keys = tuple(field for field in fields if field.is_relation)
        values = tuple(field.name for field in fields if not field.is_relation)
    elif link := _parent_link(model, paths, identities):
        keys, values = (link,), ()
    else:
        keys = tuple(_complete_foreign_keys(model, paths, identities))
        names = {field.name for field in keys}
        values = tuple(path for path in paths if path.partition("__")[0] not in names)
    return MappedModel(
        model=model,
        number=number,
        merged=merged,
        paths=paths or own,
        keys=keys,
        values=values,
        by_pk=by_pk,
    )


def _complete_foreign_keys(
    model: Model, paths: Sequence[str], identities: Identities
) -> Iterator[Field]:
    """Yield the foreign keys whose target's natural key is completely in the paths."""
    for root in dict.fromkeys(path.partition("__")[0] for path in paths):
        field = _column(model, root)
        rest = {path.partition("__")[2] for path in paths if path.partition("__")[0] == root}
        target = target_of(field)
        known = identities[target].paths if target and target in identities else ()
        local = field in model._meta.local_concrete_fields
        if target and local and refers_by_pk(field) and rest == set(known):
            yield field


def _parent_link(model: Model, paths: Sequence[str], identities: Identities) -> Field | None:
    """Return the link to the parent, if the identity of a child model is its parent's natural
    key."""
    pk = model._meta.pk
    target = target_of(pk)
    if target is not None and target in identities:
        known = identities[target].paths
        if set(paths) in (set(known), {f"{pk.name}__{path}" for path in known}):
            return pk
    return None


def _unique_set(model: Model, identities: Identities) -> tuple[Field, ...]:
    """Return the foreign keys of an automatic many-to-many table, which are unique together. They
    are its identity also where their targets have no natural key."""
    for names in model._meta.unique_together if model._meta.auto_created else ():
        return tuple(_column(model, name) for name in names)
    return ()
