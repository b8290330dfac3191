"""The light: one colour, and every reason for it in words, each with what to do."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

from backup_tasks.status.facts import Facts


class Finding(NamedTuple):
    """What a condition found."""

    what: str
    remedy: str
    """What to do about it."""
    about: str = ""
    """The object, where the condition may hold for several: it tells one incident from another."""


class Light(IntEnum):
    """The colours, the better one first. The light is the worst of its reasons."""

    GREEN = 0
    UNKNOWN = 1
    AMBER = 2
    RED = 3

    @property
    def word(self) -> str:
        """What monitors call it."""
        return {
            Light.GREEN: "OK",
            Light.UNKNOWN: "UNKNOWN",
            Light.AMBER: "WARNING",
            Light.RED: "CRITICAL",
        }[self]

    @property
    def exit_code(self) -> int:
        """By the convention of monitors (Nagios): 0 ok, 1 warning, 2 critical, 3 unknown."""
        return {Light.GREEN: 0, Light.AMBER: 1, Light.RED: 2, Light.UNKNOWN: 3}[self]


@dataclass(frozen=True, kw_only=True)
class Condition:
    """Something that makes the light worse than green. It depends on the facts alone."""

    light: Light
    find: Callable[[Facts], Iterator[Finding]]
    asked: Callable[[Facts], bool] = lambda facts: True
    """Whether the facts say anything of it. Where nobody looked, that it finds nothing does not
    mean that all is well."""

    @property
    def name(self) -> str:
        """Its stable name, for scripts."""
        return self.find.__name__


@dataclass(frozen=True, kw_only=True)
class Reason:
    """Why the light is not green."""

    light: Light
    name: str
    """Of the condition."""
    what: str
    remedy: str
    about: str = ""


@dataclass(frozen=True, kw_only=True)
class Status:
    """The light, and its reasons, the worst first."""

    light: Light
    reasons: Sequence[Reason]
    unasked: Collection[str] = ()
    """Names of the conditions that the facts say nothing of."""


def judge(facts: Facts, conditions: Sequence[Condition]) -> Status:
    """Return the light. It is green only where no condition finds anything."""
    reasons = [
        Reason(
            light=each.light,
            name=each.name,
            what=found.what,
            remedy=found.remedy,
            about=found.about,
        )
        for each in conditions
        for found in each.find(facts)
    ]
    reasons.sort(key=lambda reason: -reason.light)  # stable: the order of the conditions stays
    return Status(
        light=max((each.light for each in reasons), default=Light.GREEN),
        reasons=reasons,
        unasked={each.name for each in conditions if not each.asked(facts)},
    )
