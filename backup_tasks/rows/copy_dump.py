"""Lines from what PostgreSQL sends: the same bytes as `Shape.lines`, several times faster.

One COPY per model: the server joins the natural keys and sends a row's values; what is the same in
each line stays here. Many rows at once are taken apart into columns, what a value lacks to be JSON
is done to a whole column (`finishing`), and the columns are put into lines.

A field whose wire form can't be made of what the server sends (a duration, an array, a custom
field) leaves its whole model to `Shape.lines`. One conformance suite holds both to the same output.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

import orjson
from django.conf import settings
from django.db.backends.base.base import BaseDatabaseWrapper

from backup_tasks.rows import copy_decoding, value_encoding
from backup_tasks.rows.codec import BYTES_AT_ONCE, Lines, Shape, Slot
from backup_tasks.rows.copy_decoding import Finish
from backup_tasks.rows.copy_formats import (
    Form,
    form_of,
    has_odd_moments,
    is_float,
    stored_columns,
    write_as_by_default,
)
from backup_tasks.rows.query import Column, Query

_FEW = 1 << 20
"""Bytes of a table that the server hashes, rather than the rows that refer to it."""


def server_lines(shape: Shape) -> Iterator[Lines] | None:
    """Yield all lines of the model in batches, or return None if the server can't send them.

    Raises DumpFailed, django.db errors. The connection must be in a transaction; until its end,
    the server writes days and numbers as it does by default.
    """
    if shape.connection.vendor != "postgresql":
        return None
    write_as_by_default(shape.connection)
    if not settings.USE_TZ:
        return None
    known = stored_columns(shape.table, shape.connection)
    columns = shape.query.columns
    finished_here = {
        slot.at
        for slot in shape.slots
        if slot.key is None
        and (
            columns[slot.at].field.column in known.jsonb
            if slot.is_json
            else is_float(columns[slot.at].field)
        )
    }
    if not all(
        at in finished_here or form_of(column.field, shape.connection)
        for at, column in enumerate(columns)
    ):
        return None
    return None if has_odd_moments(shape.query) else _copied(shape, known.full)


@dataclass(frozen=True, kw_only=True)
class _Value:
    """A value of each row, on its way from the server into the line."""

    sql: str
    quoted: bool = False
    finish: Finish = copy_decoding.unescaped
    json: str = ""
    """The name of a slot that holds JSON: its canonical form is made here."""


class _Part:
    """A part of a line: the text that is the same in each, and the values between."""

    def __init__(self) -> None:
        self.values: list[_Value] = []
        self._format = b""

    def text(self, text: bytes) -> None:
        self._format += text.replace(b"%", b"%%")

    def value(self, value: _Value) -> None:
        self._format += b'"%b"' if value.quoted else b"%b"
        self.values.append(value)

    def filled(self, columns: Sequence[Sequence[bytes]], rows: int) -> list[bytes]:
        """Return the part of each row's line, given the columns of its values."""
        if not columns:
            return [self._format % ()] * rows
        return list(map(self._format.__mod__, zip(*columns, strict=True)))


def _copied(shape: Shape, full: Collection[str]) -> Iterator[Lines]:
    head, rest = _parts(shape, full)
    values = [*head.values, *rest.values]
    for rows in _sent(shape, values):
        cells = copy_decoding.cells(rows)
        raw: dict[int, dict[str, str]] = {}
        columns = []
        for at, value in enumerate(values):
            column = value.finish(cells[at :: len(values)])
            columns.append(_json(column, value.json, raw, shape) if value.json else column)
        heads = head.filled(columns[: len(head.values)], len(rows))
        rests = rest.filled(columns[len(head.values) :], len(rows))
        for at, texts in raw.items():
            rests[at] = rests[at][:-1] + b',"_raw":' + orjson.dumps(texts) + b"}"
        yield heads, rests


def _json(
    texts: Sequence[bytes], name: str, raw: dict[int, dict[str, str]], shape: Shape
) -> list[bytes]:
    """Return the wire form of each; what must go along is put into `raw`, by row and name."""
    if (canonicals := value_encoding.json_wires(texts)) is not None:
        return canonicals
    column = bytearray()
    for at, text in enumerate(texts):
        try:
            canonical, stored = (
                value_encoding.json_wire(text, "postgresql") if text else (b"null", None)
            )
        except (TypeError, ValueError) as error:
            raise shape.unreadable(text[:200], error) from error
        column += canonical + copy_decoding.DELIMITER
        if stored is not None:
            raw.setdefault(at, {})[name] = stored
    return bytes(column[:-1]).split(copy_decoding.DELIMITER)


def _sent(shape: Shape, values: Sequence[_Value]) -> Iterator[list[bytes]]:
    """Yield the rows that the server sends, many at once: what is done to many costs little."""
    connection = shape.connection
    with (
        connection.cursor() as cursor,
        connection.wrap_database_errors,
        cursor.cursor.copy(_copy(shape, values)) as copy,
    ):
        libpq = cursor.connection.pgconn
        rows: list[bytes] = []
        room = BYTES_AT_ONCE
        while True:
            # What has arrived is at hand at once; `copy.read()`, which can wait, costs more.
            size, row = libpq.get_copy_data(1)
            if size == 0:
                row = copy.read()
                size = len(row)
            elif size < 0:
                _finish_copy(libpq, connection)
            if size <= 0:
                break
            rows.append(bytes(row))
            room -= size
            if room <= 0:
                yield rows
                rows, room = [], BYTES_AT_ONCE
        if rows:
            yield rows


def _finish_copy(libpq: Any, connection: BaseDatabaseWrapper) -> None:
    """Take the server's last words, and raise them if they are an error."""
    failure = None
    while (result := libpq.get_result()) is not None:
        failure = failure or (result if result.error_message else None)
    if failure is not None:
        raise connection.Database.errors.error_from_result(failure)  # type: ignore[attr-defined]  # psycopg


def _parts(shape: Shape, full: Collection[str]) -> tuple[_Part, _Part]:
    """Return the canonical row without its closing brace, and the rest of the line."""
    columns = shape.query.columns
    pk = None if shape.pk_at is None else _value(columns[shape.pk_at], shape, full)
    head, rest = _Part(), _Part()
    before, key, after = shape.head(None).partition(b'"pk":null')
    head.text(before)
    if key and pk:
        head.text(b'"pk":')
        head.value(pk)
        head.text(after)
    for number, slot in enumerate(shape.slots):
        head.text((b"," if number else b"{") + orjson.dumps(slot.name) + b":")
        head.value(_slot_value(slot, shape, full))
    head.text(b"}" if shape.slots else b"{}")
    if pk:
        rest.text(b',"_pk":')
        rest.value(pk)
    for number, slot in enumerate(shape.keys):
        rest.text((b"," if number else b',"_fk":{') + orjson.dumps(slot.name) + b":")
        rest.value(_value(columns[slot.at], shape, full))
    rest.text(b"}}" if shape.keys else b"}")
    return head, rest


def _slot_value(slot: Slot, shape: Shape, full: Collection[str]) -> _Value:
    column = shape.query.columns[slot.at]
    if slot.is_json:
        # NULL comes as nothing: "null" is JSON's own.
        whole = column.field.column in full
        sql = column.sql if whole else f"coalesce({column.sql}::text, '')"
        return _Value(sql=sql, json=slot.name)
    if is_float(column.field) and slot.key is None:
        return _Value(sql=column.sql, finish=copy_decoding.floats)
    if slot.key:
        return _Value(sql=f"coalesce({_key_alias(slot)}.listed, {_as_json(column, shape)})")
    return _value(column, shape, full)


def _value(column: Column, shape: Shape, full: Collection[str]) -> _Value:
    form = cast(Form, form_of(column.field, shape.connection))
    if form.sent is None or (form.quoted and column.field.column not in full):
        return _Value(sql=_as_json(column, shape))
    return _Value(sql=form.sent.format(column.sql), quoted=form.quoted, finish=form.finish)


def _as_json(column: Column, shape: Shape) -> str:
    return cast(Form, form_of(column.field, shape.connection)).json.format(column.sql)


def _copy(shape: Shape, values: Sequence[_Value]) -> str:
    """Return the statement that sends the values."""
    source = f"{shape.connection.ops.quote_name(shape.table)} t"
    for slot in shape.keys:
        source += _joined(slot, shape)
    columns = ", ".join(value.sql for value in values)
    return (
        f"COPY (SELECT {columns} FROM {source}{shape.query.narrowed}) TO STDOUT"
        f" (DELIMITER E'\\x{copy_decoding.DELIMITER.hex()}', NULL '{copy_decoding.NULL.decode()}')"
    )


def _joined(slot: Slot, shape: Shape) -> str:
    """Return the join to the natural keys that the slot's column leads to, each written out.

    OFFSET 0 makes the server write each key once, not once for each row that refers to it: four
    rows refer to one in a usual table. Only a table that is larger than the one that refers to it
    is better asked for the few keys that are wanted.
    """
    if slot.key is None:
        return ""
    column = shape.query.columns[slot.at]
    target = cast(Any, column.field).target_field
    query = Query(target.model, shape.connection)
    referred = query.columns[query.add("t", target)]
    parts = [query.columns[query.add_path("t", slot.key.model, path)] for path in slot.key.paths]
    listed = " || ',' || ".join(f"coalesce({_as_json(part, shape)}, 'null')" for part in parts)
    size = _size(target.model._meta.db_table, shape)
    once = " OFFSET 0" if size <= _size(shape.table, shape) else ""
    alias = _key_alias(slot)
    refers = shape.query.refers("t", column.field, f"{alias}.id", few=size < _FEW)
    return (
        f" LEFT JOIN (SELECT {referred.sql} AS id, '[' || {listed} || ']' AS listed"
        f" FROM {query.source}{once}) {alias} ON {refers}"
    )


def _size(table: str, shape: Shape) -> int:
    """Return the room that the table's rows take, in bytes."""
    with shape.connection.cursor() as cursor:
        name = shape.connection.ops.quote_name(table)
        cursor.execute("SELECT pg_relation_size(%s::regclass)", [name])
        return int(cursor.fetchone()[0])


def _key_alias(slot: Slot) -> str:
    return f"k{slot.at}"
