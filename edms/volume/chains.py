"""Decides which documents there will be: chains in which each one supersedes the one before."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from edms.volume.chance import YEARS, Chance

_LONGEST_GAP = 60
"""Days from one document of a chain to the next."""

DEEPEST = 40
"""Length of the longest chains; every fiftieth chain is one."""

_PATHS = {
    "draft": (),
    "under_review": ("under_review",),
    "reviewed": ("under_review", "reviewed"),
    "approved": ("under_review", "reviewed", "approved"),
    "effective": ("under_review", "reviewed", "approved", "effective"),
    "superseded": ("under_review", "reviewed", "approved", "effective", "superseded"),
    "rejected": ("under_review", "draft", "under_review", "draft"),
}


@dataclass(frozen=True, kw_only=True)
class Planned:
    """A document to be made."""

    kind: str
    title: str
    state: str
    path: tuple[str, ...]
    """The states that its workflow went through, after draft."""
    created_at: datetime
    place: int
    """In its chain; 0 supersedes nothing."""

    @property
    def is_final(self) -> bool:
        """Its file is a numbered version, no longer a draft."""
        return "effective" in self.path


def chains(number: int, kinds: list[str], chance: Chance) -> Iterator[Planned]:
    """Yield `number` documents, chain by chain, the oldest of a chain first."""
    made = 0
    chain = 0
    while made < number:
        chain += 1
        longest = DEEPEST if chain % 50 == 0 else min(1 + int(chance.expovariate(0.7)), 8)
        length = min(longest, number - made)
        made += length
        yield from _chain(length, chance.choice(kinds), chance)


def _chain(length: int, kind: str, chance: Chance) -> Iterator[Planned]:
    title = chance.title()
    newest = chance.choices(
        ["effective", "draft", "rejected", "under_review", "reviewed", "approved"],
        weights=[70, 10, 4, 8, 5, 3],
    )[0]
    in_force = length - 1 if newest == "effective" else length - 2
    # The longer a chain, the earlier it began: nothing happens in the future.
    at = chance.moment(chance.randrange(YEARS - length * _LONGEST_GAP // 365))
    for place in range(length):
        outcome = (
            newest if place == length - 1 else "effective" if place == in_force else "superseded"
        )
        yield Planned(
            kind=kind,
            title=title,
            state="draft" if outcome == "rejected" else outcome,
            path=_PATHS[outcome],
            created_at=at,
            place=place,
        )
        at += timedelta(days=chance.randrange(20, _LONGEST_GAP), seconds=chance.random() * 3600)
