"""Lines that PostgreSQL writes itself: the same bytes as `Shape.lines`, several times faster.

One COPY per model: the server resolves the natural keys with joins and writes each line's text. It
leaves two things to this side. Columns of JSON and of floating point are finished here (keys are
sorted, 1e+20 becomes 1e20), so their text stands between two separators, which no such text can
contain. And a third one parts the canonical row from the rest.

A field whose wire form the server can't write to the same bytes (a duration, an array, a custom
field) leaves its whole model to `Shape.lines`. One conformance suite holds both to the same output.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast

import orjson
from django.conf import settings
from django.db.backends.base.base import BaseDatabaseWrapper

from backup_tasks.rows import wire
from backup_tasks.rows.query import Column, Field, Query
from backup_tasks.rows.shape import BYTES_AT_ONCE, Line, Shape, Slot

_SEPARATOR = b"\x01"

# What the server writes for a column, by the wire form and the column's type. NULL stays NULL.
_NUMBER = "{0}::text"
_TEXT = "to_json({0})::text"
_QUOTED = "'\"' || {0}::text || '\"'"
_MOMENT = """'"' || to_char({0} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US') || '+00:00"'"""
_TIME = "'\"' || to_char({0}, 'HH24:MI:SS.US') || '\"'"
# What a client is sent: a cast to text would show the netmask of a single address.
_SENT = "CASE WHEN {0} IS NOT NULL THEN concat('\"', {0}, '\"') END"
_BASE64 = "'\"' || translate(encode({0}, 'base64'), E'\\n', '') || '\"'"

_WRITTEN: Mapping[object, Mapping[str, str]] = {
    None: {
        "bigint": _NUMBER,
        "integer": _NUMBER,
        "smallint": _NUMBER,
        "boolean": _NUMBER,
        "varchar": _TEXT,
        "text": _TEXT,
        "inet": _SENT,
    },
    wire.datetime_wire: {"timestamp with time zone": _MOMENT},
    wire.date_wire: {"date": _QUOTED},
    wire.time_wire: {"time": _TIME},
    wire.uuid_wire: {"uuid": _QUOTED},
    wire.decimal_wire: {"numeric": _QUOTED},
    wire.base64_wire: {"bytea": _BASE64},
}
_ODD = {
    "timestamp with time zone": "NOT BETWEEN '0001-01-01' AND '9999-12-30'",
    "date": "NOT BETWEEN '0001-01-01' AND '9999-12-30'",
    "time": "= '24:00'",
}
"""Types that hold moments which Python, and so the wire form, does not have."""

Finish = Callable[[bytes], tuple[bytes, str | None]]
"""Turns the text of a column into its wire form, and what must go along in `_raw`."""


def server_lines(shape: Shape) -> Iterator[list[Line]] | None:
    """Yield all lines of the model in batches, or return None if the server can't write them.

    Raises DumpFailed, django.db errors. The connection must be in a transaction.
    """
    if shape.connection.vendor != "postgresql" or not settings.USE_TZ:
        return None
    finished_here = {slot.at for slot in shape.slots if _finish(slot, shape)}
    if not all(
        at in finished_here or _pattern(column.field, shape)
        for at, column in enumerate(shape.query.columns)
    ):
        return None
    return None if _has_odd_moments(shape) else _copied(shape)


def _copied(shape: Shape) -> Iterator[list[Line]]:
    unfinished = [(slot.name, finish) for slot in shape.slots if (finish := _finish(slot, shape))]
    for block in _blocks(shape):
        rows = block[:-1].split(b"\n")
        if unfinished:
            yield [_finished(shape, unfinished, row.split(_SEPARATOR)) for row in rows]
        else:
            yield [(head, rest) for head, _, rest in [row.partition(_SEPARATOR) for row in rows]]


def _blocks(shape: Shape) -> Iterator[bytes]:
    """Yield the rows, each with its newline, many at once: what is done to a block costs little."""
    rows: list[bytes] = []
    size = 0
    for row in _sent(shape):
        rows.append(row)
        size += len(row)
        if size >= BYTES_AT_ONCE:
            yield _unescaped(rows)
            rows, size = [], 0
    if rows:
        yield _unescaped(rows)


def _sent(shape: Shape) -> Iterator[bytes]:
    """Yield what the server sends for each row."""
    connection = shape.connection
    with (
        connection.cursor() as cursor,
        connection.wrap_database_errors,
        cursor.cursor.copy(f"COPY ({_select(shape)}) TO STDOUT") as copy,
    ):
        libpq = cursor.connection.pgconn
        while True:
            # What has arrived is at hand at once; `copy.read()`, which can wait, costs more.
            size, row = libpq.get_copy_data(1)
            if size == 0:
                row = copy.read()
            elif size < 0:
                _finish_copy(libpq, connection)
                return
            if not row:
                return
            yield row


def _finish_copy(libpq: Any, connection: BaseDatabaseWrapper) -> None:
    """Take the server's last words, and raise them if they are an error."""
    failure = None
    while (result := libpq.get_result()) is not None:
        failure = failure or (result if result.error_message else None)
    if failure is not None:
        raise connection.Database.errors.error_from_result(failure)  # type: ignore[attr-defined]  # psycopg


def _unescaped(rows: list[bytes]) -> bytes:
    """COPY doubles backslashes; there is nothing else to escape in JSON."""
    block = b"".join(rows)
    return block.replace(b"\\\\", b"\\") if b"\\" in block else block


def _finish(slot: Slot, shape: Shape) -> Finish | None:
    """Return what finishes the slot's column on this side; None if the server writes it."""
    if slot.is_json:
        return _finish_json
    field = wire.plain_field(shape.query.columns[slot.at].field)
    is_float = wire.encoder(field) is wire.float_wire and not hasattr(type(field), "from_db_value")
    return _finish_float if is_float and slot.key is None else None


def _finish_json(text: bytes) -> tuple[bytes, str | None]:
    return wire.json_wire(text, "postgresql")


def _finish_float(text: bytes) -> tuple[bytes, None]:
    return orjson.dumps(wire.float_wire(float(text))), None


def _finished(shape: Shape, unfinished: list[tuple[str, Finish]], row: list[bytes]) -> Line:
    """Put the wire form of each unfinished column in the place of its text, and what must go along
    into the rest of the line."""
    *parts, rest = row
    raw: dict[str, str] = {}
    for number, (name, finish) in enumerate(unfinished):
        at = 2 * number + 1
        if text := parts[at]:
            try:
                parts[at], stored = finish(text)
            except (TypeError, ValueError) as error:
                raise shape.unreadable(b"".join(parts)[:200], error) from error
            if stored is not None:
                raw[name] = stored
        else:
            parts[at] = b"null"
    if raw:
        rest = rest[:-1] + b',"_raw":' + orjson.dumps(raw) + b"}"
    return b"".join(parts), rest


def _select(shape: Shape) -> str:
    """Return the SELECT of one text column: the line."""
    columns = shape.query.columns
    head = shape.head(None).decode()
    pieces: list[str] = []
    if shape.shows_pk and shape.pk_at is not None:
        before, after = head.split('"pk":null')
        pieces += [_literal(f'{before}"pk":'), _text(columns[shape.pk_at], shape), _literal(after)]
    else:
        pieces.append(_literal(head))
    for number, slot in enumerate(shape.slots):
        pieces.append(_literal(("," if number else "{") + orjson.dumps(slot.name).decode() + ":"))
        pieces += _slot_text(slot, shape)
    pieces.append(_literal("}" if shape.slots else "{}"))
    pieces.append(_mark())
    pieces += _tail(shape)
    source = f"{shape.connection.ops.quote_name(shape.table)} t"
    for slot in shape.keys:
        source += _joined(slot, shape)
    return f"SELECT {_concat(pieces)} FROM {source}{shape.query.narrowed}"


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
    listed = " || ',' || ".join(_text(part, shape) for part in parts)
    once = " OFFSET 0" if _not_larger(target.model._meta.db_table, shape) else ""
    alias = _key_alias(slot)
    return (
        f" LEFT JOIN (SELECT {referred.sql} AS id, '[' || {listed} || ']' AS listed"
        f" FROM {query.source}{once}) {alias}"
        f" ON {shape.query.refers('t', column.field, f'{alias}.id')}"
    )


def _not_larger(table: str, shape: Shape) -> bool:
    """Whether the table takes no more room than the shape's own."""
    names = [shape.connection.ops.quote_name(name) for name in (table, shape.table)]
    with shape.connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_relation_size(%s::regclass) <= pg_relation_size(%s::regclass)", names
        )
        return bool(cursor.fetchone()[0])


def _key_alias(slot: Slot) -> str:
    return f"k{slot.at}"


def _tail(shape: Shape) -> list[str]:
    """Return what writes the members that start with `_`, and the end of the line."""
    columns = shape.query.columns
    pieces: list[str] = []
    if shape.pk_at is not None:
        pieces += [_literal(',"_pk":'), _text(columns[shape.pk_at], shape)]
    for number, slot in enumerate(shape.keys):
        name = orjson.dumps(slot.name).decode()
        opening = "," if number else ',"_fk":{'
        pieces.append(_literal(f"{opening}{name}:"))
        pieces.append(_text(columns[slot.at], shape))
    return [*pieces, _literal("}}" if shape.keys else "}")]


def _slot_text(slot: Slot, shape: Shape) -> list[str]:
    columns = shape.query.columns
    column = columns[slot.at]
    if _finish(slot, shape):
        return [_mark(), f"coalesce({column.sql}::text, '')", _mark()]
    plain = _text(column, shape)
    return [f"coalesce({_key_alias(slot)}.listed, {plain})" if slot.key else plain]


def _text(column: Column, shape: Shape) -> str:
    pattern = _pattern(column.field, shape) or ""
    return f"coalesce({pattern.format(column.sql)}, 'null')"


def _pattern(field: Field, shape: Shape) -> str | None:
    """Return how the server writes the column; None if it can't."""
    plain = wire.plain_field(field)
    if hasattr(type(plain), "from_db_value"):
        return None
    return _WRITTEN.get(wire.encoder(field), {}).get(_kind(field, shape))


def _kind(field: Field, shape: Shape) -> str:
    """Return the column's type, without its length or scale."""
    return str(field.db_type(shape.connection)).partition("(")[0]


def _has_odd_moments(shape: Shape) -> bool:
    """Whether a moment is one that Python does not have: its reading of the row says which."""
    odd = [
        f"{column.sql} {_ODD[kind]}"
        for column in shape.query.columns
        if (kind := _kind(column.field, shape)) in _ODD
    ]
    if not odd:
        return False
    with shape.connection.cursor() as cursor:
        cursor.execute(
            f"SELECT EXISTS (SELECT 1 FROM {shape.query.source} WHERE {' OR '.join(odd)})"
        )
        return bool(cursor.fetchone()[0])


def _mark() -> str:
    return "E'\\x01'"


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _concat(pieces: list[str]) -> str:
    """Join halves with halves: so no text is copied more often than the pieces' logarithm."""
    if len(pieces) == 1:
        return pieces[0]
    half = len(pieces) // 2
    return f"({_concat(pieces[:half])} || {_concat(pieces[half:])})"
