"""Reads the lines of a model by COPY: the same bytes as `read.encoded_lines`, several times
faster.

There is one COPY per model. The server joins the natural keys and sends the values of each row. The
text that is the same in all lines is added here. Many rows at a time are split into columns, each
column is decoded as a whole (`copy_decoding`), and the columns are put together to lines.

A model with a field that has no COPY format (a duration, an array, a custom field) is read by
`read.encoded_lines`. One conformance suite holds both to the same output.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

import orjson
from django.conf import settings
from django.db.backends.base.base import BaseDatabaseWrapper

from backup_tasks.rows import copy_decoding, json_text
from backup_tasks.rows.codec import BATCH_BYTES, LineColumn, Lines, RowCodec
from backup_tasks.rows.copy_decoding import ColumnDecoder
from backup_tasks.rows.copy_formats import (
    CopyFormat,
    copy_format_of,
    has_values_beyond_django,
    is_float,
    stored_columns,
    use_default_output_settings,
)
from backup_tasks.rows.query import Column, Query

_SMALL_TABLE = 1 << 20
"""Bytes. The server hashes a smaller table, rather than the rows that refer to it."""


def copy_lines(codec: RowCodec) -> Iterator[Lines] | None:
    """Yield all lines of the model in batches, or return None if COPY can't send them.

    The connection must be in a transaction, since the output settings are changed until its end.
    Raises DumpFailed, django.db errors.
    """
    if codec.connection.vendor != "postgresql":
        return None
    use_default_output_settings(codec.connection)
    if not settings.USE_TZ or codec.line_format.zone:
        return None
    known = stored_columns(codec.table, codec.connection)
    columns = codec.query.columns
    decoded_indexes = {
        line_column.index
        for line_column in codec.line_columns
        if line_column.key is None
        and (
            columns[line_column.index].field.column in known.jsonb
            if line_column.is_json
            else is_float(columns[line_column.index].field)
        )
    }
    if not all(
        at in decoded_indexes or copy_format_of(column.field, codec.connection)
        for at, column in enumerate(columns)
    ):
        return None
    return None if has_values_beyond_django(codec.query) else _lines(codec, known.not_null)


@dataclass(frozen=True, kw_only=True)
class _Value:
    """A value that every row has: the SQL that sends it, and how it is put into the line."""

    sql: str
    quoted: bool = False
    decode: ColumnDecoder = copy_decoding.decode_json
    json: str = ""
    """For a JSON column, the name of the field. The canonical JSON is made here, not by the
    server."""


class _LineTemplate:
    """The prefix or the suffix of all lines: constant text with values in between."""

    def __init__(self) -> None:
        self.values: list[_Value] = []
        self._format = b""

    def text(self, text: bytes) -> None:
        self._format += text.replace(b"%", b"%%")

    def value(self, value: _Value) -> None:
        self._format += b'"%b"' if value.quoted else b"%b"
        self.values.append(value)

    def fill(self, columns: Sequence[Sequence[bytes]], rows: int) -> list[bytes]:
        """Return the prefix or suffix of each row, given the columns of its values."""
        if not columns:
            return [self._format % ()] * rows
        return list(map(self._format.__mod__, zip(*columns, strict=True)))


def _lines(codec: RowCodec, not_null: Collection[str]) -> Iterator[Lines]:
    prefix, suffix = _templates(codec, not_null)
    values = [*prefix.values, *suffix.values]
    for rows in _received_rows(codec, values):
        cells = copy_decoding.split_values(rows)
        raw: dict[int, dict[str, str]] = {}
        columns = []
        for at, value in enumerate(values):
            column = value.decode(cells[at :: len(values)])
            columns.append(_encode_json(column, value.json, raw, codec) if value.json else column)
        prefixes = prefix.fill(columns[: len(prefix.values)], len(rows))
        suffixes = suffix.fill(columns[len(prefix.values) :], len(rows))
        for at, texts in raw.items():
            suffixes[at] = suffixes[at][:-1] + b',"_raw":' + orjson.dumps(texts) + b"}"
        yield prefixes, suffixes


def _encode_json(
    texts: Sequence[bytes], name: str, raw: dict[int, dict[str, str]], codec: RowCodec
) -> list[bytes]:
    """Return the canonical JSON of each text. Put the stored text that `_raw` needs into `raw`, by
    row and name."""
    if (canonicals := json_text.encode_json_column(texts)) is not None:
        return canonicals
    column = bytearray()
    for at, text in enumerate(texts):
        try:
            canonical, stored = (
                json_text.encode_json(text, "postgresql") if text else (b"null", None)
            )
        except (TypeError, ValueError) as error:
            raise codec.unreadable_row(text[:200], error) from error
        column += canonical + copy_decoding.DELIMITER
        if stored is not None:
            raw.setdefault(at, {})[name] = stored
    return bytes(column[:-1]).split(copy_decoding.DELIMITER)


def _received_rows(codec: RowCodec, values: Sequence[_Value]) -> Iterator[list[bytes]]:
    """Yield the rows that the server sends, in batches."""
    connection = codec.connection
    with (
        connection.cursor() as cursor,
        connection.wrap_database_errors,
        cursor.cursor.copy(_copy_statement(codec, values)) as copy,
    ):
        libpq = cursor.connection.pgconn
        rows: list[bytes] = []
        bytes_left = BATCH_BYTES
        while True:
            # get_copy_data(1) returns at once what has arrived. `copy.read()` waits, and costs
            # more.
            size, row = libpq.get_copy_data(1)
            if size == 0:
                row = copy.read()
                size = len(row)
            elif size < 0:
                _finish_copy(libpq, connection)
            if size <= 0:
                break
            rows.append(bytes(row))
            bytes_left -= size
            if bytes_left <= 0:
                yield rows
                rows, bytes_left = [], BATCH_BYTES
        if rows:
            yield rows


def _finish_copy(libpq: Any, connection: BaseDatabaseWrapper) -> None:
    """Read the results after the last row, and raise the first error among them."""
    failure = None
    while (result := libpq.get_result()) is not None:
        failure = failure or (result if result.error_message else None)
    if failure is not None:
        raise connection.Database.errors.error_from_result(failure)  # type: ignore[attr-defined]  # psycopg


def _templates(codec: RowCodec, not_null: Collection[str]) -> tuple[_LineTemplate, _LineTemplate]:
    """Return the templates of prefix and suffix."""
    columns = codec.query.columns
    pk = (
        None
        if codec.pk_index is None
        else _value_of_column(columns[codec.pk_index], codec, not_null)
    )
    prefix, suffix = _LineTemplate(), _LineTemplate()
    before, key, after = codec.prefix(None).partition(b'"pk":null')
    prefix.text(before)
    if key and pk:
        prefix.text(b'"pk":')
        prefix.value(pk)
        prefix.text(after)
    for number, line_column in enumerate(codec.line_columns):
        prefix.text((b"," if number else b"{") + orjson.dumps(line_column.name) + b":")
        prefix.value(_value_of_line_column(line_column, codec, not_null))
    prefix.text(b"}" if codec.line_columns else b"{}")
    if pk:
        suffix.text(b',"_pk":')
        suffix.value(pk)
    for number, line_column in enumerate(codec.keys):
        suffix.text((b"," if number else b',"_fk":{') + orjson.dumps(line_column.name) + b":")
        suffix.value(_value_of_column(columns[line_column.index], codec, not_null))
    suffix.text(b"}}" if codec.keys else b"}")
    return prefix, suffix


def _value_of_line_column(
    line_column: LineColumn, codec: RowCodec, not_null: Collection[str]
) -> _Value:
    column = codec.query.columns[line_column.index]
    if line_column.is_json:
        # NULL is sent as an empty value, since "null" is JSON's null.
        whole = column.field.column in not_null
        sql = column.sql if whole else f"coalesce({column.sql}::text, '')"
        return _Value(sql=sql, json=line_column.name)
    if is_float(column.field) and line_column.key is None:
        return _Value(sql=column.sql, decode=copy_decoding.decode_floats)
    if line_column.key:
        return _Value(sql=f"coalesce({_key_alias(line_column)}.listed, {_as_json(column, codec)})")
    return _value_of_column(column, codec, not_null)


def _value_of_column(column: Column, codec: RowCodec, not_null: Collection[str]) -> _Value:
    copy_format = cast(CopyFormat, copy_format_of(column.field, codec.connection))
    if copy_format.copy_sql is None or (copy_format.quoted and column.field.column not in not_null):
        return _Value(sql=_as_json(column, codec))
    return _Value(
        sql=copy_format.copy_sql.format(column.sql),
        quoted=copy_format.quoted,
        decode=copy_format.decode,
    )


def _as_json(column: Column, codec: RowCodec) -> str:
    return cast(CopyFormat, copy_format_of(column.field, codec.connection)).json_sql.format(
        column.sql
    )


def _copy_statement(codec: RowCodec, values: Sequence[_Value]) -> str:
    """Return the COPY statement that sends the values."""
    source = f"{codec.connection.ops.quote_name(codec.table)} t"
    for line_column in codec.keys:
        source += _natural_key_join(line_column, codec)
    columns = ", ".join(value.sql for value in values)
    return (
        f"COPY (SELECT {columns} FROM {source}{codec.query.filter_join}) TO STDOUT"
        f" (DELIMITER E'\\x{copy_decoding.DELIMITER.hex()}', NULL '{copy_decoding.NULL.decode()}')"
    )


def _natural_key_join(line_column: LineColumn, codec: RowCodec) -> str:
    """Return the join to the natural keys, as JSON, of the rows that the foreign key refers to.

    OFFSET 0 makes the server write each key once, instead of once for each row that refers to it.
    In a usual table four rows refer to one. It is left out for a table that is larger than the one
    that refers to it, where few of the keys are needed.
    """
    if line_column.key is None:
        return ""
    column = codec.query.columns[line_column.index]
    target = cast(Any, column.field).target_field
    query = Query(target.model, codec.connection)
    referred = query.columns[query.add("t", target)]
    parts = [
        query.columns[query.add_path("t", line_column.key.model, path)]
        for path in line_column.key.paths
    ]
    listed = " || ',' || ".join(f"coalesce({_as_json(part, codec)}, 'null')" for part in parts)
    size = _table_size(target.model._meta.db_table, codec)
    once = " OFFSET 0" if size <= _table_size(codec.table, codec) else ""
    alias = _key_alias(line_column)
    condition = codec.query.reference_condition(
        "t", column.field, f"{alias}.id", few=size < _SMALL_TABLE
    )
    return (
        f" LEFT JOIN (SELECT {referred.sql} AS id, '[' || {listed} || ']' AS listed"
        f" FROM {query.source}{once}) {alias} ON {condition}"
    )


def _table_size(table: str, codec: RowCodec) -> int:
    """Return the size of the table's rows in bytes."""
    with codec.connection.cursor() as cursor:
        name = codec.connection.ops.quote_name(table)
        cursor.execute("SELECT pg_relation_size(%s::regclass)", [name])
        return int(cursor.fetchone()[0])


def _key_alias(line_column: LineColumn) -> str:
    return f"k{line_column.index}"
