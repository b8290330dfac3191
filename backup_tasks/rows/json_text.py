"""JSON columns: canonical JSON of the stored text, and the text that is stored for it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import orjson


def encode_json(text: str | bytes, vendor: str) -> tuple[bytes, str | None]:
    """Return the canonical JSON of a JSON column's text, and the text itself where that says more.

    Canonical JSON has sorted keys and no white space, so the same value has the same bytes on every
    database. The text is returned for JSON's null (which a fixture can't tell from SQL's NULL), for
    numbers that Python would round, and for an order of keys that the database keeps. Raises
    ValueError for text that is not JSON, not Unicode, or has a number beyond floats (1e400, NaN).
    """
    # orjson handles the usual case, ten times faster than the standard library.
    parsed: Any = None
    with suppress(orjson.JSONDecodeError):  # NaN, which the standard library reads and writes
        parsed = orjson.loads(text)
    if parsed is not None:
        canonical = orjson.dumps(parsed, option=orjson.OPT_SORT_KEYS)
        if _is_spelled_so(text, parsed, vendor):
            return canonical, None
    text = text if isinstance(text, str) else text.decode()
    value = json.loads(text)
    stored = (
        json.dumps(value, ensure_ascii=False)
        if vendor == "postgresql"
        else json_text(value, vendor)
    )
    with suppress(TypeError):  # integers beyond 64 bits, which orjson reads as floats
        canonical = orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
        if parsed == value:
            return canonical, None if value is not None and stored == text else text
    canonical_text = json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )
    return canonical_text.encode(), text


_SEPARATOR = "\0"
"""A string that jsonb can't hold."""


def encode_json_column(texts: Sequence[bytes]) -> list[bytes] | None:
    """Return the canonical JSON of each text of a jsonb column (an empty text is NULL); None if one
    of the texts needs `encode_json`.

    One call encodes all of them. A call for each takes three to five times as long, mostly for the
    page of memory that each result of orjson fills.
    """
    if b"null" in texts:  # JSON's null
        return None
    block = b"[" + b",".join([text or b"null" for text in texts]) + b"]"
    try:
        values = orjson.loads(block)
        if _without_spaces(block) != _without_spaces(orjson.dumps(values)):
            return None
        separated = [_SEPARATOR] * (2 * len(values) - 1)
        separated[::2] = values
        canonical = orjson.dumps(separated, option=orjson.OPT_SORT_KEYS)
    except (TypeError, ValueError):
        return None
    return canonical[1:-1].split(b"," + orjson.dumps(_SEPARATOR) + b",")


def _is_spelled_so(text: str | bytes, parsed: Any, vendor: str) -> bool:
    """Whether the database, given the value, has this text for it."""
    if vendor != "postgresql":  # it keeps what it is given; orjson escapes and rounds otherwise
        stored = json_text(parsed, vendor)
        return stored == text if isinstance(text, str) else stored.encode() == text
    # It sorts the keys in its own way, so their order has no meaning.
    expected, compact = orjson.dumps(parsed), _without_spaces(text)
    return compact in (expected, _without_spaces(expected))


def _without_spaces(text: bytes | str) -> bytes:
    """Return JSON without the spaces that PostgreSQL and `json` write. Strings lose spaces too, but
    in the two texts that are compared they are the same; only the way to write numbers can
    differ."""
    data = text.encode() if isinstance(text, str) else text
    return data.replace(b", ", b",").replace(b": ", b":")


def json_text(encoded: Any, vendor: str) -> str:
    """Return the text that is stored in a JSON column for a value whose line has no text in `_raw`.

    PostgreSQL parses the text. Elsewhere it is what Django would store, with sorted keys.
    """
    if vendor == "postgresql":
        with suppress(TypeError):  # an integer beyond 64 bits
            return orjson.dumps(encoded).decode()
    return json.dumps(encoded, sort_keys=True)
