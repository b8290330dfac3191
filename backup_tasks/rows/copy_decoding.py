"""Decodes what PostgreSQL's COPY sends, and makes JSON of it, a column of many rows at a time.

COPY escapes characters that separate values or rows. Most of its escapes are also JSON's (a
backslash and one of ``\\bfnrt``), so little is left to do for text.

Each function handles many values with few calls. A loop in Python over the values would cost more
than the server's work for the rows.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import orjson

from backup_tasks.rows import value_encoding

ColumnDecoder = Callable[[Sequence[bytes]], Sequence[bytes]]
"""Makes JSON of the values of a column as COPY sent them. Where the format adds quotes, it makes
what stands between the quotes."""

DELIMITER = b"\x01"
NULL = b"null"
"""COPY sends NULL as JSON writes it. Text that may be NULL is sent as JSON, in quotes, so that the
text "null" is not taken for NULL."""

_ESCAPE = re.compile(rb"\\.", re.DOTALL)
_ESCAPE_OR_CONTROL = re.compile(rb"\\.|[\x02-\x07\x0e-\x1f]", re.DOTALL)
_CONTROLS = bytes([*range(0x02, 0x08), *range(0x0E, 0x20)])
"""Control characters that COPY sends as they are."""
_WITH_FRACTION = len("2026-11-22 22:33:55.123456")


def split_values(rows: Sequence[bytes]) -> list[bytes]:
    """Return the values of all rows, row after row."""
    block = b"".join(rows)
    if b"\\\x01" in block:  # text that holds the delimiter, or ends with a backslash
        block = _ESCAPE.sub(_delimiter_as_json, block)
    return block[:-1].replace(b"\n", DELIMITER).split(DELIMITER)


def _delimiter_as_json(pair: re.Match[bytes]) -> bytes:
    return rb"\u0001" if pair[0] == b"\\\x01" else pair[0]


def decode_json(values: Sequence[bytes]) -> Sequence[bytes]:
    """Decode what the server wrote as JSON: COPY doubles the backslashes and changes nothing
    else."""
    text = DELIMITER.join(values)
    if b"\\" not in text:
        return values
    return text.replace(rb"\\", b"\\").split(DELIMITER)


def decode_text(values: Sequence[bytes]) -> Sequence[bytes]:
    """Decode text to the content of a JSON string, without the quotes."""
    text = DELIMITER.join(values)
    has_controls = rb"\v" in text or len(text.translate(None, _CONTROLS)) < len(text)
    if not has_controls and b'"' not in text:
        return values
    text = text.replace(b'"', b'\\"')
    return (_ESCAPE_OR_CONTROL.sub(_control_as_json, text) if has_controls else text).split(
        DELIMITER
    )


def _control_as_json(found: re.Match[bytes]) -> bytes:
    text = found[0]
    if text == rb"\v":
        return rb"\u000b"
    return text if text.startswith(b"\\") else b"\\u%04x" % text[0]


def decode_datetimes(values: Sequence[bytes]) -> Sequence[bytes]:
    """Decode timestamps in UTC to JSON strings with a T, six digits and the offset."""
    full = [value if len(value) == _WITH_FRACTION else _with_fraction(value) for value in values]
    text = b'"' + b'+00:00"\x01"'.join(full) + b'+00:00"'
    text = text.replace(b" ", b"T").replace(b'"null+00:00"', NULL)
    return text.split(DELIMITER)


def _with_fraction(value: bytes) -> bytes:
    """Append the zeros at the end, which PostgreSQL does not send."""
    if value == NULL:
        return value
    return (value if b"." in value else value + b".").ljust(_WITH_FRACTION, b"0")


def decode_floats(values: Sequence[bytes]) -> Sequence[bytes]:
    """Decode floating-point numbers: JSON writes 1e+20 as 1e20, and Infinity is a string."""
    read = [
        None if value == NULL else value_encoding.encode_float(float(value)) for value in values
    ]
    return orjson.dumps(read)[1:-1].split(b",")


def decode_nothing(values: Sequence[bytes]) -> Sequence[bytes]:
    """Return values that are JSON already, or that only lack quotes."""
    return values
