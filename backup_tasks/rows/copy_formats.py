"""COPY formats: the SQL with which PostgreSQL writes the values of a column, and how to decode
them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from django.db.backends.base.base import BaseDatabaseWrapper

from backup_tasks.rows import copy_decoding, value_encoding
from backup_tasks.rows.copy_decoding import ColumnDecoder
from backup_tasks.rows.query import Field, Query


@dataclass(frozen=True, kw_only=True)
class CopyFormat:
    """How the server writes the values of a type. In the SQL, {0} stands for the column."""

    json_sql: str
    """Expression for the JSON of a value; NULL stays NULL. Natural keys are built from it."""
    copy_sql: str | None = None
    """Cheaper expression that COPY sends instead. None: COPY sends the JSON."""
    quoted: bool = False
    """Whether the line puts quotes around the value. Only for columns without NULL, since NULL
    would get quotes too."""
    decode: ColumnDecoder = copy_decoding.decode_nothing


_NUMBER = CopyFormat(json_sql="{0}::text", copy_sql="{0}")
_TEXT = CopyFormat(
    json_sql="to_json({0})::text", copy_sql="{0}", quoted=True, decode=copy_decoding.decode_text
)
_QUOTED = CopyFormat(json_sql="'\"' || {0}::text || '\"'", copy_sql="{0}", quoted=True)

_FORMATS: Mapping[object, Mapping[str, CopyFormat]] = {
    None: {
        "bigint": _NUMBER,
        "integer": _NUMBER,
        "smallint": _NUMBER,
        "boolean": CopyFormat(json_sql="{0}::text"),
        "varchar": _TEXT,
        "text": _TEXT,
        # concat() gives what a client is sent. A cast to text would add a netmask to an address.
        "inet": CopyFormat(
            json_sql="CASE WHEN {0} IS NOT NULL THEN concat('\"', {0}, '\"') END",
            copy_sql="{0}",
            quoted=True,
        ),
    },
    value_encoding.encode_datetime: {
        "timestamp with time zone": CopyFormat(
            json_sql="'\"' || to_char({0} AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US')"
            " || '+00:00\"'",
            # An old table may have timestamps without time zone. They are in UTC.
            copy_sql="{0}::timestamptz AT TIME ZONE 'UTC'",
            decode=copy_decoding.decode_datetimes,
        )
    },
    value_encoding.encode_date: {"date": _QUOTED},
    value_encoding.encode_time: {
        "time": CopyFormat(json_sql="'\"' || to_char({0}, 'HH24:MI:SS.US') || '\"'")
    },
    value_encoding.encode_uuid: {"uuid": _QUOTED},
    value_encoding.encode_decimal: {"numeric": _QUOTED},
    value_encoding.encode_base64: {
        "bytea": CopyFormat(json_sql="'\"' || translate(encode({0}, 'base64'), E'\\n', '') || '\"'")
    },
}
"""By the function that encodes the field's values, and the type of the column."""

_BEYOND_PYTHON = {
    "timestamp with time zone": "NOT BETWEEN '0001-01-01' AND '9999-12-30'",
    "date": "NOT BETWEEN '0001-01-01' AND '9999-12-30'",
    "time": "= '24:00'",
    "numeric": "IN ('NaN', 'Infinity', '-Infinity')",
}
"""By type: the condition for dates and times that Python can't represent, and for numbers that
Django refuses, so that no encoding of them exists."""


def copy_format_of(field: Field, connection: BaseDatabaseWrapper) -> CopyFormat | None:
    """Return the format in which the server writes the column; None if there is none."""
    value_field = value_encoding.plain_field(field)
    if hasattr(type(value_field), "from_db_value"):
        return None
    return _FORMATS.get(value_encoding.encoder(field), {}).get(_column_type(field, connection))


def is_float(field: Field) -> bool:
    """Whether the column holds floating-point numbers only."""
    value_field = value_encoding.plain_field(field)
    return value_encoding.encoder(value_field) is value_encoding.encode_float and not hasattr(
        type(value_field), "from_db_value"
    )


def use_default_output_settings(connection: BaseDatabaseWrapper) -> None:
    """Set what COPY's text depends on to its default until the transaction ends, since the database
    or the role may have other values."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT set_config('DateStyle', 'ISO', true),"
            " set_config('extra_float_digits', '1', true),"
            " set_config('IntervalStyle', 'postgres', true),"
            " set_config('bytea_output', 'hex', true)"
        )


@dataclass(frozen=True, kw_only=True)
class StoredColumns:
    """What pg_catalog says of a table's columns, by name. The model may say something else."""

    jsonb: frozenset[str]
    """Columns of type jsonb."""
    not_null: frozenset[str]
    """Columns in which no row has NULL."""


def stored_columns(table: str, connection: BaseDatabaseWrapper) -> StoredColumns:
    """Return what pg_catalog says of the table's columns.

    NOT NULL proves nothing where other tables inherit from the table, whose rows may have NULL, or
    where the constraint was not validated for existing rows.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT a.attname, a.atttypid = 'jsonb'::regtype, a.attnotnull"
            " AND (c.relkind = 'p' OR NOT c.relhassubclass) AND NOT EXISTS"
            " (SELECT 1 FROM pg_constraint k WHERE k.conrelid = c.oid AND k.contype = 'n'"
            " AND NOT k.convalidated AND a.attnum = ANY (k.conkey))"
            " FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid"
            " WHERE c.oid = %s::regclass AND a.attnum > 0 AND NOT a.attisdropped",
            [connection.ops.quote_name(table)],
        )
        found = cursor.fetchall()
    return StoredColumns(
        jsonb=frozenset(name for name, jsonb, _ in found if jsonb),
        not_null=frozenset(name for name, _, not_null in found if not_null),
    )


def has_values_beyond_django(query: Query) -> bool:
    """Whether a row has a date, time or number that has no encoding. The caller then reads the rows
    one by one."""
    beyond = [
        f"{column.sql} {_BEYOND_PYTHON[kind]}"
        for column in query.columns
        if (kind := _column_type(column.field, query.connection)) in _BEYOND_PYTHON
    ]
    if not beyond:
        return False
    with query.connection.cursor() as cursor:
        cursor.execute(f"SELECT EXISTS (SELECT 1 FROM {query.source} WHERE {' OR '.join(beyond)})")
        return bool(cursor.fetchone()[0])


def _column_type(field: Field, connection: BaseDatabaseWrapper) -> str:
    """Return the column's type, without its length or scale."""
    return str(field.db_type(connection)).partition("(")[0]
