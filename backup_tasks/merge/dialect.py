"""The dialect of a merge: runs statements on live and staging, and writes the SQL that differs
between databases. No other module of the merge knows which database it runs on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper

from backup_tasks.rows import value_encoding
from backup_tasks.rows.query import Field

_EQUAL_IS_SAME = (
    models.IntegerField,
    models.AutoField,
    models.BooleanField,
    models.CharField,
    models.TextField,
    models.DateField,
    models.UUIDField,
    models.BinaryField,
)
"""Fields whose values are the same if PostgreSQL finds them equal. Unlike numeric, where 1.0 equals
1.00, or citext."""


class Dialect:
    """Runs statements in one transaction, and writes the SQL that is special to this database."""

    def __init__(self, connection: BaseDatabaseWrapper, cursor: Any, staging: str) -> None:
        self.connection = connection
        self.staging = staging
        """Prefix of a table's name in staging: `"staging_x".`"""
        self._cursor = cursor
        self._postgresql = connection.vendor == "postgresql"

    def quote(self, name: str) -> str:
        """Return the name as SQL writes it."""
        return str(self.connection.ops.quote_name(name))

    def staged(self, table: str) -> str:
        """Return the SQL name of a table in staging."""
        return self.staging + self.quote(table)

    def run(self, sql: str, params: Sequence[Any] | None = None) -> int:
        """Execute a statement; return how many rows it changed."""
        self._cursor.execute(sql, params)
        return int(self._cursor.rowcount)

    def rows(self, sql: str, params: Sequence[Any] | None = None) -> list[tuple[Any, ...]]:
        """Return all rows of a query. Only for queries with few."""
        self._cursor.execute(sql, params)
        found: list[tuple[Any, ...]] = self._cursor.fetchall()
        return found

    def value(self, sql: str, params: Sequence[Any] | None = None) -> Any:
        """Return the one value of a query."""
        return self.rows(sql, params)[0][0]

    def make(self, name: str, select: str, index: Sequence[str]) -> str:
        """Create a table in staging from a query, with an index; return its SQL name."""
        table = self.staged(name)
        self.run(f"DROP TABLE IF EXISTS {table}")
        self.run(f"CREATE TABLE {table} AS {select}")
        self.index(name, index)
        if self._postgresql:
            self.run(f"ANALYZE {table}")
        return table

    def index(self, name: str, columns: Sequence[str]) -> None:
        """Create an index on a table in staging."""
        listed, index_name = ", ".join(columns), self.quote(f"{name}_by_{'_'.join(columns)}")
        if self._postgresql:
            self.run(f"CREATE INDEX {index_name} ON {self.staged(name)} ({listed})")
        else:
            self.run(f"CREATE INDEX {self.staging}{index_name} ON {self.quote(name)} ({listed})")

    def text(self, sql: str) -> str:
        """Return the value as text."""
        return f"CAST({sql} AS {'text' if self._postgresql else 'char(255)'})"

    def number(self, text: str) -> str:
        """Return the whole number that a text has; NULL for other text."""
        if self._postgresql:
            return f"CASE WHEN {text} ~ '^[0-9]{{1,18}}$' THEN CAST({text} AS bigint) END"
        number = f"{text} <> '' AND {text} NOT GLOB '*[^0-9]*'"
        return f"CASE WHEN {number} THEN CAST({text} AS integer) END"

    def key_text(self, field: Field, sql: str) -> str:
        """Return a primary key as text, as Django writes it into a generic key."""
        text = self.text(sql)
        if self._has_uuid_text(field):
            parts = ((1, 8), (9, 4), (13, 4), (17, 4), (21, 12))
            return " || '-' || ".join(f"substr({text}, {at}, {size})" for at, size in parts)
        return text

    def json_member(self, sql: str, name: str) -> str:
        """Return what a JSON object has under a name, as text. NULL for anything but an object."""
        if self._postgresql:
            return f"({sql} ->> '{name}')"
        valid = f"CASE WHEN json_valid({sql}) THEN {sql} END"
        return self.text(f"json_extract({valid}, '$.\"{name}\"')")

    def as_type(self, field: Field, sql: str) -> str:
        """Return the key, as `key_text` returns it, as a value of the field's column."""
        if self._has_uuid_text(field):
            sql = f"replace({sql}, '-', '')"
        return f"CAST({sql} AS {field.db_type(self.connection)})"

    def _has_uuid_text(self, field: Field) -> bool:
        plain = value_encoding.plain_field(field)
        native = self.connection.features.has_native_uuid_field
        return isinstance(plain, models.UUIDField) and not native

    def comparable(self, sql: str, *, null: bool) -> str:
        """Return an expression that compares with `=` although keys may be NULL, so that the
        database can use a hash join."""
        return f"CASE WHEN {sql} IS NULL THEN '0' ELSE '1' || {self.text(sql)} END" if null else sql

    def differ(self, field: Field, one: str, other: str) -> str:
        """Return the condition that two values of a column differ. NULL equals NULL."""
        if not self._postgresql:
            return f"{one} IS NOT {other}"
        plain = value_encoding.plain_field(field)
        if not isinstance(plain, _EQUAL_IS_SAME) or getattr(plain, "db_collation", None):
            one, other = f"{one}::text", f"{other}::text"
        return f"{one} IS DISTINCT FROM {other}"

    @property
    def overriding(self) -> str:
        """The clause of an INSERT that gives the primary keys itself."""
        return "OVERRIDING SYSTEM VALUE " if self._postgresql else ""
