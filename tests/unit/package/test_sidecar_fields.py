"""Each field of a sidecar has limits of length, range and form: what can be shown and entered."""

from __future__ import annotations

import json
from typing import Any

import pytest

from backup_tasks.errors import PackageDamaged
from backup_tasks.package.sidecar import Sidecar
from backup_tasks.package.streams import Written

from .content import manifest_of

GOOD = Sidecar.of(
    manifest_of([]),
    name="edms.tar.zst",
    written=Written(size=5, sha256="a" * 64),
    compression="zstd",
    recipients=["age1abc", "ssh-ed25519 AAAA somebody@host\n"],
)

ODD: list[tuple[str, object]] = [
    ("id", ""),
    ("id", "edms-20261122T223355Z"),
    ("id", "1A2B3C4D5E6F7081"),
    ("id", "1a2b3c4d5e6f7081\n"),
    ("id", "\u0661" * 16),
    ("id", 1234567890123456),
    ("label", "x" * 65),
    ("label", "a\0b"),
    ("label", "\ud800"),
    ("label", "\x1b[2J"),
    ("label", "two\nlines"),
    ("label", "back\u202ewards"),
    ("host", "h" * 256),
    ("project", "p" * 101),
    ("project", "p\r"),
    ("created_at", "2026-11-22"),
    ("created_at", "2026-11-22T22:33:55"),
    ("created_at", "2026-11-22T22:33:55Z"),
    ("created_at", "20261122T223355+00:00"),
    ("created_at", "2026-11-22T22:33:55+01:00"),
    ("created_at", "0001-01-01T00:00:00+00:00"),
    ("created_at", "9999-12-31T23:59:59+00:00"),
    ("size", 10**31),
    ("size", 2**63),
    ("size", -1),
    ("size", True),
    ("size", 1.5),
    ("sha256", "A" * 64),
    ("recipients", ["x" * 4097]),
    ("recipients", ["age1"] * 101),
    ("recipients", ["a\nb"]),
    ("signed_by", "k" * 101),
    ("signature", "s" * 201),
    ("signature", "\0"),
    ("name", "x" * 300),
    ("totals", {"models": 1, "rows": 10**31, "files": 0, "content_size": 0}),
    ("totals", {"models": 1, "rows": 1, "files": 2**63, "content_size": 0}),
]


def read(values: dict[str, Any]) -> Sidecar:
    return Sidecar.from_json(json.dumps(values).encode(), GOOD.file_name)


@pytest.mark.parametrize(("field", "value"), ODD)
def test_an_odd_field_is_damage_and_is_named(field: str, value: object) -> None:
    good = json.loads(GOOD.to_json())
    assert read(good) == GOOD

    with pytest.raises(PackageDamaged) as caught:
        read({**good, field: value})

    inner = "rows" if value != ODD[-1][1] else "files"
    assert repr(inner if field == "totals" else field) in caught.value.what
    assert str(caught.value).isprintable()
    assert len(caught.value.what) < 500


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("label", "x" * 64),
        ("label", "Ünïcode"),
        ("label", ""),
        ("size", 2**63 - 1),
        ("created_at", "2000-01-01T00:00:00+00:00"),
        ("created_at", "2999-12-31T23:59:59.999999+00:00"),
        ("recipients", ["ssh-rsa " + "A" * 3000]),
    ],
)
def test_what_just_fits_is_read(field: str, value: object) -> None:
    read({**json.loads(GOOD.to_json()), field: value})


def test_what_somebody_else_wrote_is_shown_short_and_printable() -> None:
    good = json.loads(GOOD.to_json())

    with pytest.raises(PackageDamaged) as caught:
        read({**good, "\x1b]0;title\x07" + "x" * 100_000: 1})

    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 1000
    assert r"\x1b]0;title" in str(caught.value)


def test_a_recipient_that_ends_in_a_newline_is_named_without_it() -> None:
    assert read(json.loads(GOOD.to_json())).recipients[1] == "ssh-ed25519 AAAA somebody@host"


def test_equal_moments_are_equal_texts_and_order_as_such() -> None:
    good = json.loads(GOOD.to_json())
    moments = [
        "2026-11-22T22:33:55+00:00",
        "2026-11-22T22:33:55.000001+00:00",
        "2026-11-22T22:33:56+00:00",
    ]

    read_back = [read({**good, "created_at": moment}).moment for moment in moments]

    assert read_back == sorted(read_back)
    assert len(set(read_back)) == 3
