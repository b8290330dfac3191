"""The worked example of the package format: computed by hand, and by the code."""

from __future__ import annotations

import re
from hashlib import sha256

from backup_tasks.rows.digest import Digests
from tests.habits.pages import page

EXAMPLE = page("docs/reference/package-format.md")
LINES, CANONICAL = (block.encode().splitlines() for block in EXAMPLE.fenced("jsonl"))
TOLD = re.findall(r"\| `([0-9a-f]{64})` \|", EXAMPLE.section("Digests"))


def test_the_digests_of_the_example_can_be_computed_by_hand() -> None:
    seconds = [
        canonical + line[len(canonical) - 1 :]
        for line, canonical in zip(LINES, CANONICAL, strict=True)
    ]

    assert [*_hashed(CANONICAL), _sum(CANONICAL), *_hashed(seconds), _sum(seconds)] == TOLD


def test_the_code_computes_the_digests_of_the_example() -> None:
    digests = Digests()

    heads = [canonical[:-1] for canonical in CANONICAL]
    rests = [line[len(head) :] for head, line in zip(heads, LINES, strict=True)]
    digests.add(heads, rests)

    assert (digests.digest, digests.exact) == (TOLD[2], TOLD[5])


def _hashed(texts: list[bytes]) -> list[str]:
    return [sha256(text).hexdigest() for text in texts]


def _sum(texts: list[bytes]) -> str:
    total = sum(int.from_bytes(sha256(text).digest(), "big") for text in texts)
    return f"{total % 2**256:064x}"
