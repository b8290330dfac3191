"""A SELECT of one table with its natural keys joined in: one query per model, never per row."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

from django.conf import settings
from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper

from backup_tasks.rows import value_encoding
from backup_tasks.rows.guarded_reads import guarded, hiding, loadable
from backup_tasks.rows.line_format import LineFormat, of_project
from backup_tasks.rows.natural_keys import Model
from backup_tasks.rows.stored_values import stored_reader

Field: TypeAlias = "models.Field[Any, Any]"
Read = Callable[[Any], Any]

_NOT_IN_PYTHON = {
    "timestamp with time zone": "NOT BETWEEN '0001-01-01 00:00:00+00'"
    " AND '9999-12-31 23:59:59.999999+00'",
    "date": "NOT BETWEEN '0001-01-01' AND '9999-12-31'",
    "time": "= '24:00'",
    "numeric": "IN ('NaN', 'Infinity', '-Infinity')",
}
"""By type of PostgreSQL: the condition for dates and times that the driver can't give (infinity,
those before Christ, midnight at the end of a day), and for numbers that Django refuses."""

_DATES_OF_MARIADB = ("date", "time")
_FLOATS_OF_MARIADB = ("double", "float")

KEEPS_TEXT = "\x01"
"""Stands before JSON of PostgreSQL's type json, which, unlike jsonb, keeps the text."""


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column that is read."""

    sql: str
    """`alias.column`, quoted."""
    field: Field
    read: Read | None
    """Encodes what is selected, unless that is None. None: it needs no encoding."""
    other: Read | None = None
    """Encodes what `read` refuses (`stored_values.NOT_STANDARD`). None: nothing else can."""
    selected: str
    """What is selected of the column."""


class Query:
    """Collects the columns to read and the joins that reach them."""

    def __init__(
        self,
        model: Model,
        connection: BaseDatabaseWrapper,
        table_prefix: str = "",
        *,
        line_format: LineFormat | None = None,
    ) -> None:
        """`table_prefix` stands before the names of tables outside live: `"staging_x".`"""
        self.connection = connection
        self.line_format = line_format or of_project(connection)
        self._zone = self.line_format.zone
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
        self.columns.append(self._column(sql, alias, field))
        return len(self.columns) - 1

    def _column(self, sql: str, alias: str, field: Field) -> Column:
        if self.connection.vendor == "postgresql":
            return self._postgresql_column(sql, alias, field)
        clear = self.line_format.shows(field)
        reader = stored_reader(field, self.connection, clear=clear)
        if self.connection.vendor == "sqlite":
            selected = f"+{sql}"  # an expression has no declared type that the driver would convert
        elif str(field.db_type(self.connection)).startswith(_DATES_OF_MARIADB):
            selected = f"CAST({sql} AS CHAR)"  # the driver has no zero dates
        elif str(field.db_type(self.connection)).startswith(_FLOATS_OF_MARIADB):
            selected = f"CAST({sql} AS DOUBLE)"  # the text of a float of 32 bits is rounded
        else:
            selected = sql
        other = reader.other
        if self.line_format.has_stored_values:
            other = loadable(field, other)
        return Column(sql=sql, field=field, read=reader.standard, other=other, selected=selected)

    def _postgresql_column(self, sql: str, alias: str, field: Field) -> Column:
        if value_encoding.is_json(field):
            selected = f"{sql}::text"
            if self.line_format.has_stored_values:
                mark = f"CASE WHEN pg_typeof({sql}) = 'json'::regtype THEN E'\\x01' ELSE '' END"
                selected = f"{mark} || {selected}"
            return Column(sql=sql, field=field, read=None, selected=selected)
        if self.line_format.has_stored_values and value_encoding.is_opaque(field):
            return Column(sql=sql, field=field, read=None, selected=_postgresql_text(sql))
        if self._reads_local_time(field):
            zone = self._zone or "UTC"
            offset = "" if self._zone else "+00:00"

            def read(value: dt.datetime) -> str:
                return value.isoformat(timespec="microseconds") + offset

            selected = self._in_python(f"({sql}::timestamptz AT TIME ZONE '{zone}')", sql, field)
            return Column(sql=sql, field=field, read=read, selected=selected)
        read_by_django = self._reader(alias, field)
        if read_by_django and not value_encoding.is_known(field):
            read_by_django = guarded(read_by_django)
            secret = value_encoding.is_custom(field) and value_encoding.may_hide(
                field, self.connection
            )
            if secret and not self.line_format.shows(field):
                read_by_django = hiding(read_by_django)
        selected = self._in_python(sql, sql, field)
        return Column(sql=sql, field=field, read=read_by_django, selected=selected)

    def _in_python(self, selected: str, sql: str, field: Field) -> str:
        """Return what is selected of a column, with NULL for what the driver can't give."""
        condition = self._not_in_python(sql, field)
        return f"CASE WHEN {condition} THEN NULL ELSE {selected} END" if condition else selected

    def _not_in_python(self, sql: str, field: Field) -> str:
        kind = str(value_encoding.plain_field(field).db_type(self.connection)).partition("(")[0]
        stores_values = self.line_format.has_stored_values and kind in _NOT_IN_PYTHON
        return f"{sql} {_NOT_IN_PYTHON[kind]}" if stores_values else ""

    def add_not_in_python(self, alias: str, field: Field) -> int | None:
        """Read PostgreSQL's text of the dates and times that the driver can't give, NULL for all
        others; return the index in the row. None if the column has none."""
        sql = f"{alias}.{self._quote(field.column)}"
        if not (condition := self._not_in_python(sql, field)):
            return None
        text = f"CASE WHEN {condition} THEN concat({sql}) END"
        self.columns.append(Column(sql=sql, field=field, read=None, selected=text))
        return len(self.columns) - 1

    def _reads_local_time(self, field: Field) -> bool:
        """Whether the driver would give the datetimes without their zone, or in another than the
        lines have."""
        encode = value_encoding.encoder(field)
        naive = bool(self._zone) or not settings.USE_TZ
        return (
            naive
            and encode is value_encoding.encode_datetime
            and not value_encoding.is_custom(field)
        )

    def add_text(self, alias: str, field: Field) -> int:
        """Read PostgreSQL's text of a column's value; return its index in the row."""
        sql = f"{alias}.{self._quote(field.column)}"
        text = _postgresql_text(sql)
        self.columns.append(Column(sql=sql, field=field, read=None, selected=text))
        return len(self.columns) - 1

    def add_ambiguous_time(self, alias: str, field: Field) -> int | None:
        """Read the moments of a column, in UTC, that their local time does not tell (one hour of
        the year happens twice), NULL for all others; return the index in the row. None if the lines
        do not have local times."""
        if not self._zone or not self._reads_local_time(field):
            return None
        sql = f"{alias}.{self._quote(field.column)}"
        moment = f"{sql}::timestamptz"
        again = f"({moment} AT TIME ZONE '{self._zone}') AT TIME ZONE '{self._zone}'"
        text = (
            f"CASE WHEN {moment} <> {again} THEN ({moment} AT TIME ZONE 'UTC')::text || '+00' END"
        )
        self.columns.append(Column(sql=sql, field=field, read=None, selected=text))
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
        columns = [column.selected for column in self.columns]
        return f"SELECT {', '.join(columns)} FROM {self.source}{self.filter_join}"


def _postgresql_text(sql: str) -> str:
    """Return the SQL of the text that a client is sent. A cast to text would add a netmask to an
    address, and take the spaces from a char(n). A row of NULLs and one with a NULL are values, too:
    IS NULL and IS NOT NULL speak of what is in them."""
    return f"CASE WHEN num_nulls({sql}) = 0 THEN concat({sql}) END"


def key_query(
    model: Model, paths: Sequence[str], connection: BaseDatabaseWrapper, table_prefix: str = ""
) -> tuple[list[str], str]:
    """Return the SQL of the columns at the end of the paths, and of the joins that reach them.

    `table_prefix` stands before the names of tables outside live."""
    query = Query(model, connection, table_prefix)
    for path in paths:
        query.add_path("t", model, path)
    return [column.sql for column in query.columns], query.source
