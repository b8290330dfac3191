"""Stale keys: primary keys that a merge changes, in columns that it does not change.

Nothing says for certain that a number in a plain column is a key. Counted are columns whose name,
or whose content type, says so:

    document_id, document_pk, document   a plain column, or a member of a JSON object at the top,
                                         named after the model `Document`
    object_id, object_pk                 a plain column beside a content type

Of these, the rows of the package whose value is the old key of a row that gets another one. Keys
elsewhere (deeper in JSON, within text, in columns with other names) can't be told.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TypedDict

from django.contrib.contenttypes.models import ContentType
from django.db import models

from backup_tasks.merge.dialect import Dialect
from backup_tasks.merge.mapped_models import MappedModel, target_of
from backup_tasks.merge.moved_keys import content_types_of
from backup_tasks.rows import value_encoding
from backup_tasks.rows.key_columns import key_columns
from backup_tasks.rows.query import Field

_KINDS = (models.IntegerField, models.CharField, models.TextField, models.UUIDField)
_BESIDE_CONTENT_TYPE = ("object_id", "object_pk")


class StaleKeys(TypedDict):
    """A column with stale keys."""

    column: str
    """app.model.column; with `.member` for a member of a JSON object."""
    target: str
    """Label of the model whose primary keys these are."""
    rows: int


def stale_keys(dialect: Dialect, mapped_models: Sequence[MappedModel]) -> Iterator[StaleKeys]:
    """Yield each column with stale keys, by target."""
    for target in mapped_models:
        moved = _moved(dialect, target) if len(target.pk) == 1 else None
        for mapped in mapped_models if moved else ():
            for name, sql, where in _columns(dialect, mapped, target) if mapped.merged else ():
                count = dialect.value(
                    f"SELECT count(*) FROM {dialect.staged(mapped.table)} s"
                    f" WHERE {where} AND {sql} IN (SELECT old FROM {moved})"
                )
                if count:
                    yield StaleKeys(
                        column=f"{mapped.label}.{name}", target=target.label, rows=int(count)
                    )


def _moved(dialect: Dialect, target: MappedModel) -> str | None:
    """Make the table of the target's keys that change, as text; None if there are none."""
    where = f"FROM {dialect.staged(target.mapping)} WHERE p0 <> t0 AND action <> 'gone'"
    if not dialect.value(f"SELECT count(*) {where}"):
        return None
    old = dialect.key_text(target.pk[0], "p0")
    return dialect.make(f"{target.mapping}_old", f"SELECT {old} AS old {where}", ["old"])


def _columns(
    dialect: Dialect, mapped: MappedModel, target: MappedModel
) -> Iterator[tuple[str, str, str]]:
    """Yield the name, the SQL of the key as text, and the condition on the rows, of each column
    that may hold keys of the target."""
    names = _names(target)
    known = key_columns(mapped.model)
    types = _content_type_conditions(dialect, mapped, target)
    for field in mapped.written:
        if field.is_relation or field in mapped.pk or field in known:
            continue
        column = f"s.{dialect.quote(field.column)}"
        if value_encoding.is_json(field):
            for name in names:
                yield f"{field.name}.{name}", dialect.json_member(column, name), "1 = 1"
        elif isinstance(value_encoding.plain_field(field), _KINDS):
            if field.name.lower() in names:
                yield field.name, dialect.key_text(field, column), "1 = 1"
            elif field.name in _BESIDE_CONTENT_TYPE:
                for where in types:
                    yield field.name, dialect.key_text(field, column), where


def _names(target: MappedModel) -> list[str]:
    """Return the names of columns that are named after the model: of DocumentVersion,
    document_version and documentversion, with _id and _pk, or without."""
    name = target.model.__name__
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
    return [
        base + end for base in dict.fromkeys((snake, name.lower())) for end in ("", "_id", "_pk")
    ]


def _content_type_conditions(
    dialect: Dialect, mapped: MappedModel, target: MappedModel
) -> list[str]:
    """Return, for each foreign key to content types, the condition that it says the target."""
    named: Mapping[Field, str] = {
        field: f"s.{dialect.quote(field.column)}"
        for field in mapped.written
        if target_of(field) is ContentType
    }
    kinds = " OR ".join(
        f"(c.app_label = '{app_label}' AND c.model = '{name}')"
        for app_label, name in content_types_of(target.model)
    )
    types = dialect.staged(ContentType._meta.db_table)
    return [f"{column} IN (SELECT c.id FROM {types} c WHERE {kinds})" for column in named.values()]
