"""Canonical JSON of a whole column. The conformance suite compares it with that of single
values."""

import json

import pytest

from backup_tasks.rows.json_text import encode_json, encode_json_column, json_text

USUAL = [
    b'{"b": {"z": null, "a": true}, "aa": [1.5, -7, "x, y: z"]}',
    b'"\\u0001"',
    rb'",\"\\u0000\","',
    b"[]",
    b"0",
]


def test_usual_json_is_made_canonical_all_at_once() -> None:
    assert encode_json_column([*USUAL, b""]) == [
        *(encode_json(text, "postgresql")[0] for text in USUAL),
        b"null",
    ]
    assert encode_json_column([b'{"b": 1, "aa": 2}']) == [b'{"aa":2,"b":1}']


@pytest.mark.parametrize(
    "text",
    [b"null", b"1.10", b"[123456789012345678901]", b"1e400", b"[" * 300 + b"]" * 300],
    ids=["null", "scale", "integer beyond 64 bits", "beyond a float", "deep"],
)
def test_json_that_its_canonical_form_does_not_tell_is_looked_at_alone(text: bytes) -> None:
    assert encode_json_column([USUAL[0], text, USUAL[1]]) is None


@pytest.mark.parametrize(
    ("text", "as_django"),
    [
        ('"\\u00e9"', True),
        ('"é"', False),
        ('"\\u007f"', True),
        ('"\x7f"', False),
        ("1e+16", True),
        ("1e16", False),
        ("1e-05", True),
        ("1e-5", False),
        ("-0.0", True),
        ('{"a": 1, "b": [1, 2]}', True),
        ('{"a":1,"b":[1,2]}', False),
        ('{"b": 1, "a": 2}', False),
        ('{"a": 1, "a": 2}', False),
        ("null", False),
    ],
)
def test_json_that_would_be_stored_in_other_words_travels_as_its_text(
    text: str, *, as_django: bool
) -> None:
    """SQLite and MariaDB keep the text that they are given."""
    for vendor in ("sqlite", "mysql"):
        for given in (text, text.encode()):
            canonical, raw = encode_json(given, vendor)

            assert (raw is None) is as_django
            stored = json_text(json.loads(canonical), vendor) if raw is None else raw
            assert stored == text
