"""Where a merge works: live and staging in one transaction, and how this database says what the SQL
standard leaves open. All differences between databases that a merge meets are here."""

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
"""Values that PostgreSQL finds equal only if they are the same; unlike 1.0 and 1.00, or citext."""


class Dialect:
    """Runs statements, and puts them into this database's words."""

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
        """Return a table of staging, as SQL names it."""
        return self.staging + self.quote(table)

    def run(self, sql: str, params: Sequence[Any] | None = None) -> int:
        """Execute a statement; return how many rows it changed."""
        self._cursor.execute(sql, params)
        return int(self._cursor.rowcount)

    def rows(self, sql: str, params: Sequence[Any] | None = None) -> list[tuple[Any, ...]]:
        """Return the rows of a query that has few."""
        self._cursor.execute(sql, params)
        found: list[tuple[Any, ...]] = self._cursor.fetchall()
        return found

    def value(self, sql: str, params: Sequence[Any] | None = None) -> Any:
        """Return the one value of a query."""
        return self.rows(sql, params)[0][0]

    def make(self, name: str, select: str, index: Sequence[str]) -> str:
        """Make a table in staging from a query, with an index; return how SQL names it."""
        table = self.staged(name)
        self.run(f"DROP TABLE IF EXISTS {table}")
        self.run(f"CREATE TABLE {table} AS {select}")
        self.index(name, index)
        if self._postgresql:
            self.run(f"ANALYZE {table}")
        return table

    def index(self, name: str, columns: Sequence[str]) -> None:
        """Make an index of a table of staging."""
        listed, index_name = ", ".join(columns), self.quote(f"{name}_by_{'_'.join(columns)}")
        if self._postgresql:
            self.run(f"CREATE INDEX {index_name} ON {self.staged(name)} ({listed})")
        else:
            self.run(f"CREATE INDEX {self.staging}{index_name} ON {self.quote(name)} ({listed})")

    def text(self, sql: str) -> str:
        """Return the value as text."""
        return f"CAST({sql} AS {'text' if self._postgresql else 'char(255)'})"

    def number(self, text: str) -> str:
        """Return the whole number that the text is, NULL for other text."""
        if self._postgresql:
            return f"CASE WHEN {text} ~ '^[0-9]{{1,18}}$' THEN CAST({text} AS bigint) END"
        number = f"{text} <> '' AND {text} NOT GLOB '*[^0-9]*'"
        return f"CASE WHEN {number} THEN CAST({text} AS integer) END"

    def key_text(self, field: Field, sql: str) -> str:
        """Return a primary key as Python writes it into a generic key."""
        text = self.text(sql)
        plain = value_encoding.plain_field(field)
        if (
            isinstance(plain, models.UUIDField)
            and not self.connection.features.has_native_uuid_field
        ):
            parts = ((1, 8), (9, 4), (13, 4), (17, 4), (21, 12))
            return " || '-' || ".join(f"substr({text}, {at}, {size})" for at, size in parts)
        return text

    def as_type(self, field: Field, sql: str) -> str:
        """Return the text as a value of the field's column."""
        return f"CAST({sql} AS {field.db_type(self.connection)})"

    def comparable(self, sql: str, *, null: bool) -> str:
        """Return what two keys are compared by with `=`, so that a join can be hashed."""
        return f"CASE WHEN {sql} IS NULL THEN '0' ELSE '1' || {self.text(sql)} END" if null else sql

    def differ(self, field: Field, one: str, other: str) -> str:
        """Return the condition that two values of a column are not the same, NULL being a value."""
        if not self._postgresql:
            return f"{one} IS NOT {other}"
        plain = value_encoding.plain_field(field)
        if not isinstance(plain, _EQUAL_IS_SAME) or getattr(plain, "db_collation", None):
            one, other = f"{one}::text", f"{other}::text"
        return f"{one} IS DISTINCT FROM {other}"

    @property
    def overriding(self) -> str:
        """What an INSERT says that brings its primary keys along."""
        return "OVERRIDING SYSTEM VALUE " if self._postgresql else ""
