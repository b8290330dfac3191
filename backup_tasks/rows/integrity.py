"""Counts dangling references.

A foreign key without a constraint in the database (a log table's, say) and a generic foreign key
may refer to a row that does not exist. That is legitimate, and a restore keeps it (T12). The
manifest has the number of dangling references, and the restored rows must have the same number.
References to models of another database are not looked at.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, cast

from django.apps import apps
from django.contrib.contenttypes.fields import GenericForeignKey
from django.contrib.contenttypes.models import ContentType
from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper

from backup_tasks.rows.databases import lives_in, refers_elsewhere
from backup_tasks.rows.natural_keys import Model
from backup_tasks.rows.query import Query

_BATCH_ROWS = 500
"""Number of rows that one query compares."""


def dangling(connection: BaseDatabaseWrapper, model: Model) -> dict[str, int]:
    """Return, per foreign key and generic key of the model, how many rows have a dangling
    reference.

    Keys without any are left out. The database answers one query per key, or per content type.
    """
    counted = dict(_foreign_keys(connection, model))
    for field in model._meta.private_fields:
        # A child model has a copy of its parent's key, whose columns are in the parent's table.
        inherited = getattr(field, "mti_inherited", False)
        if isinstance(field, GenericForeignKey) and not inherited:
            counted[field.name] = sum(_generic_key(connection, model, field))
    return {name: count for name, count in counted.items() if count}


def taken_over(
    live: BaseDatabaseWrapper, restored: BaseDatabaseWrapper, model: Model, paths: Sequence[str]
) -> Iterator[str]:
    """Yield a message for each restored row whose primary key another row of live has: references
    to that key would refer to another row after the restore. `paths` is the natural key."""
    there, here = _keys_query(restored, model, paths), _keys_query(live, model, paths)
    with restored.chunked_cursor() as rows, live.cursor() as others:
        rows.execute(there.sql())
        while batch := rows.fetchmany(_BATCH_ROWS):
            keys = {row[0]: row[1:] for row in batch}
            marks = ", ".join(["%s"] * len(keys))
            others.execute(f"{here.sql()} WHERE {here.columns[0].sql} IN ({marks})", [*keys])
            for pk, *key in others:
                if tuple(key) != tuple(keys[pk]):
                    yield f"{pk} is {_as_text(keys[pk])} in the package, {_as_text(key)} in live"


def _keys_query(connection: BaseDatabaseWrapper, model: Model, paths: Sequence[str]) -> Query:
    query = Query(model, connection)
    query.add("t", model._meta.pk)
    for path in paths:
        query.add_path("t", model, path)
    return query


def _as_text(key: Iterable[object]) -> str:
    return ", ".join(map(str, key))


def _foreign_keys(connection: BaseDatabaseWrapper, model: Model) -> Iterator[tuple[str, int]]:
    quote = connection.ops.quote_name
    for field in model._meta.local_concrete_fields:
        if not field.is_relation or _is_enforced(connection, field):
            continue
        if refers_elsewhere(connection.alias, field):
            continue
        target = cast(models.ForeignKey[Any, Any], field).target_field
        yield (
            field.name,
            _count(
                connection,
                f"SELECT count(*) FROM {quote(model._meta.db_table)} t"
                f" LEFT JOIN {quote(target.model._meta.db_table)} o"
                f" ON t.{quote(field.column)} = o.{quote(target.column)}"
                f" WHERE t.{quote(field.column)} IS NOT NULL"
                f" AND o.{quote(target.column)} IS NULL",
            ),
        )


def _is_enforced(connection: BaseDatabaseWrapper, field: models.Field[Any, Any]) -> bool:
    """Whether no row can break the constraint. PostgreSQL checks all rows when a constraint is
    built; SQLite may hold rows that are older than the constraint."""
    return connection.vendor == "postgresql" and bool(getattr(field, "db_constraint", False))


def _generic_key(
    connection: BaseDatabaseWrapper, model: Model, key: GenericForeignKey
) -> Iterator[int]:
    """Yield the number of dangling references for each content type in use."""
    quote = connection.ops.quote_name
    type_column = quote(cast(str, cast(Any, model._meta.get_field(key.ct_field)).column))
    id_column = quote(cast(str, cast(Any, model._meta.get_field(key.fk_field)).column))
    table = quote(model._meta.db_table)
    types = quote(ContentType._meta.db_table)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT DISTINCT t.{type_column}, c.app_label, c.model FROM {table} t"
            f" LEFT JOIN {types} c ON c.id = t.{type_column}"
            f" WHERE t.{type_column} IS NOT NULL AND t.{id_column} IS NOT NULL"
        )
        in_use = cursor.fetchall()
        tables = connection.introspection.table_names(cursor, include_views=True) if in_use else []
    for type_id, app_label, name in in_use:
        rows = f"FROM {table} t WHERE t.{type_column} = %s AND t.{id_column} IS NOT NULL"
        target = _model_named(app_label, name)
        if target is not None and not lives_in(connection.alias, target):
            continue
        if target is not None and target._meta.db_table in tables:  # T14: a model may have no table
            rows += f" AND {_has_no_target(connection, target, id_column)}"
        yield _count(connection, f"SELECT count(*) {rows}", [type_id])


def _has_no_target(connection: BaseDatabaseWrapper, target: Model, id_column: str) -> str:
    """Return the condition that no row of the target has the primary key that is in `id_column`.

    PostgreSQL turns NOT EXISTS into a join. SQLite would scan the target for each row, but builds
    an index for NOT IN.
    """
    pk = target._meta.pk
    table = connection.ops.quote_name(target._meta.db_table)
    column = f"o.{connection.ops.quote_name(pk.column)}"
    wanted, there = _id_text(connection, pk, id_column), f"CAST({column} AS char(255))"
    if connection.vendor == "postgresql":
        return f"NOT EXISTS (SELECT 1 FROM {table} o WHERE {there} = {wanted})"
    return f"{wanted} NOT IN (SELECT {there} FROM {table} o WHERE {column} IS NOT NULL)"


def _id_text(connection: BaseDatabaseWrapper, pk: models.Field[Any, Any], id_column: str) -> str:
    text = f"CAST(t.{id_column} AS char(255))"
    if isinstance(pk, models.UUIDField) and not connection.features.has_native_uuid_field:
        return f"replace({text}, '-', '')"
    return text


def _model_named(app_label: str | None, name: str | None) -> Model | None:
    try:
        return apps.get_model(app_label or "", name or "")
    except LookupError:
        return None


def _count(connection: BaseDatabaseWrapper, sql: str, params: list[Any] | None = None) -> int:
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return int(cursor.fetchone()[0])
