"""Canonical JSON of a whole column. The conformance suite compares it with that of single
values."""

import pytest

from backup_tasks.rows.json_text import encode_json, encode_json_column

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
