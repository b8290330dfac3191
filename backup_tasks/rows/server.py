"""Lines that PostgreSQL writes itself: the same bytes as `Shape.lines`, several times faster.

One COPY per model: the server resolves the natural keys with joins and writes each line's text. It
leaves two things to this side: a JSON column's keys are sorted here, so its text stands between two
separators, which no JSON text can contain; and a third one parts the canonical row from the rest.

A field whose wire form the server can't write to the same bytes (a float, a duration, an array, a
custom field) leaves its whole model to `Shape.lines`. One conformance suite holds both to the same
output.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import orjson
from django.conf import settings

from backup_tasks.rows import wire
from backup_tasks.rows.query import Column, Field
from backup_tasks.rows.shape import Line, Shape, Slot

_SEPARATOR = b"\x01"
_ROWS_AT_ONCE = 2000
_ARGUMENTS = 90
"""Of one concat(): PostgreSQL takes 100."""

# What the server writes for a column, by the wire form and the column's type. NULL stays NULL.
_NUMBER = "{0}::text"
_TEXT = "to_json({0})::text"
_QUOTED = "'\"' || {0}::text || '\"'"
_MOMENT = """'"' || to_char({0} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US') || '+00:00"'"""
_BASE64 = "'\"' || translate(encode({0}, 'base64'), E'\\n', '') || '\"'"

_WRITTEN: Mapping[object, Mapping[str, str]] = {
    None: {
        "bigint": _NUMBER,
        "integer": _NUMBER,
        "smallint": _NUMBER,
        "boolean": _NUMBER,
        "varchar": _TEXT,
        "text": _TEXT,
    },
    wire.datetime_wire: {"timestamp with time zone": _MOMENT},
    wire.date_wire: {"date": _QUOTED},
    wire.uuid_wire: {"uuid": _QUOTED},
    wire.decimal_wire: {"numeric": _QUOTED},
    wire.base64_wire: {"bytea": _BASE64},
}
_YEARS = {"timestamp with time zone", "date"}
"""Types that hold moments which Python, and so the wire form, does not have."""


def server_lines(shape: Shape) -> Iterator[list[Line]] | None:
    """Yield all lines of the model in batches, or return None if the server can't write them.

    Raises DumpFailed, django.db errors. The connection must be in a transaction.
    """
    if shape.connection.vendor != "postgresql" or not settings.USE_TZ:
        return None
    if not all(
        wire.is_json(column.field) or _pattern(column.field, shape)
        for column in shape.query.columns
    ):
        return None
    return None if _has_odd_moments(shape) else _copied(shape)


def _copied(shape: Shape) -> Iterator[list[Line]]:
    connection = shape.connection
    names = [slot.name for slot in shape.slots if slot.is_json]
    batch: list[Line] = []
    with (
        connection.cursor() as cursor,
        connection.wrap_database_errors,
        cursor.cursor.copy(f"COPY ({_select(shape)}) TO STDOUT") as copy,
    ):
        for data in copy:
            row = bytes(data)[:-1]
            if b"\\" in row:  # COPY doubles them; there is nothing else to escape in JSON
                row = row.replace(b"\\\\", b"\\")
            *parts, rest = row.split(_SEPARATOR)
            if names:
                rest = _sort_json(shape, names, parts, rest)
            head = b"".join(parts)
            batch.append((head + b"}", head + rest))
            if len(batch) == _ROWS_AT_ONCE:
                yield batch
                batch = []
    if batch:
        yield batch


def _sort_json(shape: Shape, names: list[str], parts: list[bytes], rest: bytes) -> bytes:
    """Put the canonical form of each JSON column in the place of its text; return the rest of the
    line, with the texts that must go along."""
    raw: dict[str, str] = {}
    for number, name in enumerate(names):
        at = 2 * number + 1
        text = parts[at].decode()
        if text:
            try:
                parts[at], stored = wire.json_wire(text, "postgresql")
            except (TypeError, ValueError) as error:
                raise shape.unreadable(b"".join(parts)[:200], error) from error
            if stored is not None:
                raw[name] = stored
        else:
            parts[at] = b"null"
    return rest if not raw else rest[:-1] + b',"_raw":' + orjson.dumps(raw) + b"}"


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
    return f"SELECT {_concat(pieces)} FROM {shape.query.source}"


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
        pieces.append(_or_null(_text(columns[slot.at], shape)))
    return [*pieces, _literal("}}" if shape.keys else "}")]


def _slot_text(slot: Slot, shape: Shape) -> list[str]:
    columns = shape.query.columns
    column = columns[slot.at]
    if slot.is_json:
        return [_mark(), f"{column.sql}::text", _mark()]
    plain = _or_null(_text(column, shape))
    if slot.key is None:
        return [plain if column.field.null else _text(column, shape)]
    parts = [_or_null(_text(columns[part], shape)) for part in slot.key.parts]
    listed = "concat('[', " + ", ',', ".join(parts) + ", ']')"
    return [f"CASE WHEN {columns[slot.key.found].sql} IS NULL THEN {plain} ELSE {listed} END"]


def _text(column: Column, shape: Shape) -> str:
    pattern = _pattern(column.field, shape)
    return "(" + (pattern or "").format(column.sql) + ")"


def _pattern(field: Field, shape: Shape) -> str | None:
    """Return how the server writes the column; None if it can't."""
    plain = wire.plain_field(field)
    if hasattr(type(plain), "from_db_value"):
        return None
    kind = str(field.db_type(shape.connection)).partition("(")[0]
    return _WRITTEN.get(wire.encoder(field), {}).get(kind)


def _has_odd_moments(shape: Shape) -> bool:
    """Whether a moment is infinite or outside the years 1 to 9999: Python's reading says which."""
    odd = [
        f"{column.sql} NOT BETWEEN '0001-01-01' AND '9999-12-30'"
        for column in shape.query.columns
        if column.field.db_type(shape.connection) in _YEARS
    ]
    if not odd:
        return False
    with shape.connection.cursor() as cursor:
        cursor.execute(
            f"SELECT EXISTS (SELECT 1 FROM {shape.query.source} WHERE {' OR '.join(odd)})"
        )
        return bool(cursor.fetchone()[0])


def _or_null(sql: str) -> str:
    return f"coalesce({sql}, 'null')"


def _mark() -> str:
    return "E'\\x01'"


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _concat(pieces: list[str]) -> str:
    groups = [pieces[at : at + _ARGUMENTS] for at in range(0, len(pieces), _ARGUMENTS)]
    return " || ".join(f"concat({', '.join(group)})" for group in groups)
