"""A SELECT of one table with its natural keys joined in: one query per model, never per row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper

from backup_tasks.rows import value_encoding
from backup_tasks.rows.natural_keys import Model

Field: TypeAlias = "models.Field[Any, Any]"
Read = Callable[[Any], Any]


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column that is read."""

    sql: str
    """`alias.column`, quoted."""
    field: Field
    read: Read | None
    """Encodes what the database driver returns, unless that is None. None: it needs no encoding."""


class Query:
    """Collects the columns to read and the joins that reach them."""

    def __init__(
        self, model: Model, connection: BaseDatabaseWrapper, table_prefix: str = ""
    ) -> None:
        """`table_prefix` stands before the names of tables outside live: `"staging_x".`"""
        self.connection = connection
        self._table_prefix = table_prefix
        self.columns: list[Column] = []
        self._quote = connection.ops.quote_name
        self._joins: dict[tuple[str, str], str] = {}
        self.source = f"{self._table(model._meta.db_table)} t"
        """What follows FROM, except `filter_join`."""
        self.filter_join = ""
        """A last join, which restricts the rows of `t`."""

    def _table(self, name: str) -> str:
        return self._table_prefix + self._quote(name)

    def add(self, alias: str, field: Field) -> int:
        """Read a column; return its index in the row."""
        sql = f"{alias}.{self._quote(field.column)}"
        self.columns.append(Column(sql=sql, field=field, read=self._reader(alias, field)))
        return len(self.columns) - 1

    def add_text(self, alias: str, field: Field) -> int:
        """Read the database's text of a column's value; return its index in the row."""
        sql = f"{alias}.{self._quote(field.column)}::text"
        self.columns.append(Column(sql=sql, field=field, read=None))
        return len(self.columns) - 1

    def join(self, alias: str, field: Field) -> str:
        """Follow a foreign key from `alias`; return the alias of the row it refers to."""
        key = (alias, field.name)
        if key not in self._joins:
            other = f"j{len(self._joins)}"
            target = cast("models.ForeignKey[Any, Any]", field).target_field
            referred = f"{other}.{self._quote(target.column)}"
            self.source += (
                f" LEFT JOIN {self._table(target.model._meta.db_table)} {other}"
                f" ON {self.reference_condition(alias, field, referred)}"
            )
            self._joins[key] = other
        return self._joins[key]

    def reference_condition(
        self, alias: str, field: Field, referred: str, *, few: bool = False
    ) -> str:
        """Return the condition that a row of `alias` refers by the field to the key `referred`.

        PostgreSQL may hash the referring rows for the join. All rows with NULL have the same hash
        value, so they are in one batch, which PostgreSQL splits in vain until there are 131,072
        batches: 170,000 rows took 25 s instead of 0.3. So the condition gives NULLs different hash
        values, by primary key. The same rows match. With `few` rows to refer to, PostgreSQL hashes
        those instead, and the plain condition is enough.
        """
        column = f"{alias}.{self._quote(field.column)}"
        equal = f"{column} = {referred}"
        pk = field.model._meta.pk
        if few or self.connection.vendor != "postgresql" or not field.null or not pk.column:
            return equal
        null_hash = f"hashtext({alias}.{self._quote(pk.column)}::text)"
        return (
            f"{equal} AND CASE WHEN {column} IS NULL THEN {null_hash} ELSE 0 END"
            f" = CASE WHEN {referred} IS NULL THEN 1 ELSE 0 END"
        )

    def add_path(self, alias: str, model: Model, path: str) -> int:
        """Read the value at the end of a path of foreign keys; return its index in the row."""
        *through, last = path.split("__")
        for name in through:
            alias, field = self._table_of(alias, model, name)
            alias, model = self.join(alias, field), cast(Model, field.related_model)
        return self.add(*self._table_of(alias, model, last))

    def _table_of(self, alias: str, model: Model, name: str) -> tuple[str, Field]:
        """Return the alias of the table that has the field's column, which may be a parent's, and
        the field."""
        field = cast(Field, model._meta.get_field(name))
        owner = cast(Model, field.model._meta.concrete_model)
        model = cast(Model, model._meta.concrete_model)
        while owner is not model:
            link = cast(Field, model._meta.get_ancestor_link(owner))
            alias, model = self.join(alias, link), cast(Model, link.related_model)
        return alias, field

    def _reader(self, alias: str, field: Field) -> Read | None:
        if value_encoding.is_json(field):
            return None
        column = field.get_col(alias)
        converters = [
            *self.connection.ops.get_db_converters(column),
            *column.get_db_converters(self.connection),
        ]
        encode = value_encoding.encoder(field)
        if not converters:
            return encode

        def read(value: Any) -> Any:
            for convert in converters:
                value = convert(value, column, self.connection)
            return encode(value) if encode and value is not None else value

        return read

    def sql(self) -> str:
        """Return the statement. JSON is read as text, since parsing loses some of it."""
        postgresql = self.connection.vendor == "postgresql"
        columns = [
            f"{column.sql}::text"
            if postgresql and value_encoding.is_json(column.field)
            else column.sql
            for column in self.columns
        ]
        return f"SELECT {', '.join(columns)} FROM {self.source}{self.filter_join}"


def key_query(
    model: Model, paths: Sequence[str], connection: BaseDatabaseWrapper, table_prefix: str = ""
) -> tuple[list[str], str]:
    """Return the SQL of the columns at the end of the paths, and of the joins that reach them.

    `table_prefix` stands before the names of tables outside live."""
    query = Query(model, connection, table_prefix)
    for path in paths:
        query.add_path("t", model, path)
    return [column.sql for column in query.columns], query.source
