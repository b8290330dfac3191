"""Key columns: columns that hold primary keys and are no foreign keys.

The id of a generic foreign key is one: a content type beside it says whose primary keys it holds.
Tables of history, versions and audit have others. Known are those of Django's admin, of
django-auditlog and of django-simple-history. The setting KEY_COLUMNS names more:

    {"app.Model.column": "app.Target",          # the primary keys of one model
     "app.Model.other": "content_type",         # of the model that this content type says
     "admin.LogEntry.object_id": None}          # known, and to be left as it is
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

from django.apps import apps
from django.contrib.contenttypes.fields import GenericForeignKey
from django.core.exceptions import FieldDoesNotExist
from django.db import models

from backup_tasks.conf import backup_settings
from backup_tasks.errors import Misconfigured
from backup_tasks.rows.natural_keys import Model

Field: TypeAlias = "models.Field[Any, Any]"

_KNOWN: Mapping[str, str | None] = {
    "admin.logentry.object_id": "content_type",
    "auditlog.logentry.object_id": "content_type",
    "auditlog.logentry.object_pk": "content_type",
}
_HISTORY = "simple_history.models.HistoricalChanges"


@dataclass(frozen=True, kw_only=True)
class KeyColumn:
    """A key column of a model: it has a content type or a target."""

    field: Field
    content_type: Field | None
    """The column that says whose keys these are."""
    target: Model | None
    """Whose keys these are, the same for all rows."""


def generic_keys(model: Model) -> list[GenericForeignKey]:
    """Return the generic foreign keys whose columns are in the model's own table."""
    return [
        key
        for key in model._meta.private_fields
        if isinstance(key, GenericForeignKey) and not getattr(key, "mti_inherited", False)
    ]


def key_columns(model: Model) -> dict[Field, KeyColumn]:
    """Return the key columns of a model, by field. Raises Misconfigured."""
    named: dict[str, str | None] = {key.fk_field: key.ct_field for key in generic_keys(model)}
    named |= dict(_known(model))
    named |= dict(_configured(model))
    return {
        column.field: column
        for name, target in named.items()
        if target is not None
        for column in [_key_column(model, name, target)]
        if column.field in model._meta.local_concrete_fields
    }


def _known(model: Model) -> Iterator[tuple[str, str]]:
    for name in ("object_id", "object_pk"):
        if target := _KNOWN.get(f"{model._meta.label_lower}.{name}"):
            yield name, target
    if _HISTORY in {f"{base.__module__}.{base.__qualname__}" for base in model.__mro__}:
        recorded = cast(Any, model).instance_type
        pk = recorded._meta.pk
        if not pk.is_relation:  # a one-to-one key is a foreign key in the history, too
            yield pk.name, recorded._meta.label


def _configured(model: Model) -> Iterator[tuple[str, str | None]]:
    for path, target in backup_settings().key_columns.items():
        label, _, name = path.rpartition(".")
        if label.lower() == model._meta.label_lower:
            yield name, target


def _key_column(model: Model, name: str, target: str) -> KeyColumn:
    field = _column(model, name)
    if "." not in target:
        return KeyColumn(field=field, content_type=_column(model, target), target=None)
    try:
        found = cast(Model, apps.get_model(target)._meta.concrete_model)
    except LookupError as error:
        raise _unknown(model, name, f"{target} is not installed") from error
    return KeyColumn(field=field, content_type=None, target=found)


def _column(model: Model, name: str) -> Field:
    try:
        field = model._meta.get_field(name)
    except FieldDoesNotExist as error:
        raise _unknown(model, name, "there is no such column") from error
    if not isinstance(field, models.Field) or not field.concrete:
        raise _unknown(model, name, "it is no column")
    return field


def _unknown(model: Model, name: str, problem: str) -> Misconfigured:
    return Misconfigured(
        f"KEY_COLUMNS, {model._meta.label}.{name}: {problem}",
        obj=model._meta.label,
        hint='Write {"app.Model.column": "app.Target"}, or the name of a content type\'s field.',
    )
