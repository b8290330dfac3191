"""The dialect of a merge: runs statements on live and staging, and writes the SQL that differs
between databases. No other module of the merge knows which database it runs on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper

from backup_tasks.rows import value_encoding
from backup_tasks.rows.query import Field


class Dialect:
    """Runs statements in one transaction, and writes the SQL as SQLite has it."""

    def __init__(self, connection: BaseDatabaseWrapper, cursor: Any, staging: str) -> None:
        self.connection = connection
        self.staging = staging
        """Prefix of a table's name in staging: `"staging_x".`"""
        self._cursor = cursor

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
        return list(self._cursor.fetchall())

    def value(self, sql: str, params: Sequence[Any] | None = None) -> Any:
        """Return the one value of a query."""
        return self.rows(sql, params)[0][0]

    def make(self, name: str, select: str, *indexes: Sequence[str]) -> str:
        """Create a table in staging from a query, with an index on each list of columns; return its
        SQL name."""
        table = self.staged(name)
        self.run(f"DROP TABLE IF EXISTS {table}")
        self.run(f"CREATE TABLE {table} AS {select}")
        for columns in indexes:
            self._index(name, columns)
        return table

    def _index(self, name: str, columns: Sequence[str]) -> None:
        index = self.staging + self.quote(f"{name}_by_{'_'.join(columns)}")
        self.run(f"CREATE INDEX {index} ON {self.quote(name)} ({', '.join(columns)})")

    def update(self, table: str, columns: Sequence[str], select: str, on: str) -> None:
        """Set the columns of the rows of live's table to those of `x`, the rows of the query. `on`
        is the condition that they belong together. All names are quoted."""
        values = ", ".join(f"{column} = x.{column}" for column in columns)
        self.run(f"UPDATE {table} SET {values} FROM ({select}) x WHERE {on}")

    def text(self, sql: str) -> str:
        """Return the value as text."""
        return f"CAST({sql} AS char(255))"

    def concat(self, *texts: str) -> str:
        """Return the texts as one."""
        return " || ".join(texts)

    def number(self, text: str) -> str:
        """Return the whole number that a text has; NULL for other text."""
        number = f"{text} <> '' AND {text} NOT GLOB '*[^0-9]*'"
        return f"CASE WHEN {number} THEN CAST({text} AS integer) END"

    def key_text(self, field: Field, sql: str) -> str:
        """Return a primary key as text, as Django writes it into a generic key."""
        text = self.text(sql)
        if self._has_uuid_text(field):
            first, *others = ((1, 8), (9, 4), (13, 4), (17, 4), (21, 12))
            parts = [f"substr({text}, {first[0]}, {first[1]})"]
            for at, size in others:
                parts += ["'-'", f"substr({text}, {at}, {size})"]
            return self.concat(*parts)
        return text

    def json_member(self, sql: str, name: str) -> str:
        """Return what a JSON object has under a name, as text. NULL for anything but an object."""
        valid = f"CASE WHEN json_valid({sql}) THEN {sql} END"
        return self.text(f"json_extract({valid}, '$.\"{name}\"')")

    def as_type(self, field: Field, sql: str) -> str:
        """Return the key, as `key_text` returns it, as a value of the field's column."""
        if self._has_uuid_text(field):
            sql = f"replace({sql}, '-', '')"
        return f"CAST({sql} AS {self._type(field)})"

    def _type(self, field: Field) -> str:
        return str(field.db_type(self.connection))

    def _has_uuid_text(self, field: Field) -> bool:
        plain = value_encoding.plain_field(field)
        native = self.connection.features.has_native_uuid_field
        return isinstance(plain, models.UUIDField) and not native

    def comparable(self, sql: str, *, null: bool) -> str:
        """Return an expression that compares with `=` although keys may be NULL, so that the
        database can use a hash join."""
        if not null:
            return sql
        text = self.concat("'1'", self.text(sql))
        return f"CASE WHEN {sql} IS NULL THEN '0' ELSE {text} END"

    def differ(self, field: Field, one: str, other: str) -> str:
        """Return the condition that two stored values of a column differ. NULL equals NULL."""
        return f"{one} IS NOT {other}"

    @property
    def overriding(self) -> str:
        """The clause of an INSERT that gives the primary keys itself."""
        return ""


class PostgreSQLDialect(Dialect):
    """What PostgreSQL writes differently."""

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
    """Fields whose values are the same if PostgreSQL finds them equal. Unlike numeric, where 1.0
    equals 1.00, or citext."""

    def make(self, name: str, select: str, *indexes: Sequence[str]) -> str:
        table = super().make(name, select, *indexes)
        self.run(f"ANALYZE {table}")
        return table

    def _index(self, name: str, columns: Sequence[str]) -> None:
        index = self.quote(f"{name}_by_{'_'.join(columns)}")
        self.run(f"CREATE INDEX {index} ON {self.staged(name)} ({', '.join(columns)})")

    def text(self, sql: str) -> str:
        return f"CAST({sql} AS text)"

    def number(self, text: str) -> str:
        return f"CASE WHEN {text} ~ '^[0-9]{{1,18}}$' THEN CAST({text} AS bigint) END"

    def json_member(self, sql: str, name: str) -> str:
        return f"({sql} ->> '{name}')"

    def differ(self, field: Field, one: str, other: str) -> str:
        plain = value_encoding.plain_field(field)
        if not isinstance(plain, self._EQUAL_IS_SAME) or getattr(plain, "db_collation", None):
            one, other = f"{one}::text", f"{other}::text"
        return f"{one} IS DISTINCT FROM {other}"

    @property
    def overriding(self) -> str:
        return "OVERRIDING SYSTEM VALUE "


class MariaDBDialect(Dialect):
    """What MariaDB writes differently. The tables that a merge makes are temporary: others, and
    indexes on them, would commit the transaction."""

    _EQUAL_IS_SAME = (
        models.IntegerField,
        models.AutoField,
        models.BooleanField,
        models.DateField,
        models.TimeField,
        models.DecimalField,
        models.DurationField,
    )
    """Fields whose values are the same if MariaDB finds them equal. Unlike text, which a collation
    compares."""

    def make(self, name: str, select: str, *indexes: Sequence[str]) -> str:
        table = self.staged(name)
        listed = ", ".join(f"INDEX ({', '.join(columns)})" for columns in indexes)
        self.run(f"DROP TEMPORARY TABLE IF EXISTS {table}")
        self.run(f"CREATE TEMPORARY TABLE {table} {listed and f'({listed})'} {select}")
        return table

    def update(self, table: str, columns: Sequence[str], select: str, on: str) -> None:
        # A query that reads the table too could not be a source.
        rows = self.make("merge_updated", select)
        values = ", ".join(f"{table}.{column} = x.{column}" for column in columns)
        self.run(f"UPDATE {table} JOIN {rows} x ON {on} SET {values}")

    def concat(self, *texts: str) -> str:
        return f"concat({', '.join(texts)})"

    def number(self, text: str) -> str:
        number = f"{text} <> '' AND char_length({text}) < 19 AND {text} NOT REGEXP '[^0-9]'"
        return f"CASE WHEN {number} THEN CAST({text} AS signed) END"

    def json_member(self, sql: str, name: str) -> str:
        return self.text(f"json_value({sql}, '$.\"{name}\"')")

    def _type(self, field: Field) -> str:
        # A negative number for an unsigned column is to be refused, not to overflow.
        kind = str(cast(Any, field).cast_db_type(self.connection))
        return kind.replace("unsigned", "signed")

    def differ(self, field: Field, one: str, other: str) -> str:
        if not isinstance(value_encoding.plain_field(field), self._EQUAL_IS_SAME):
            one, other = f"CAST({one} AS binary)", f"CAST({other} AS binary)"
        return f"NOT ({one} <=> {other})"


_DIALECTS = {"sqlite": Dialect, "postgresql": PostgreSQLDialect, "mysql": MariaDBDialect}


def dialect_of(connection: BaseDatabaseWrapper, staging: str) -> Dialect:
    """Return the dialect of the connection's database. For `staging` see `Dialect.staging`."""
    return _DIALECTS[connection.vendor](connection, connection.cursor(), staging)
