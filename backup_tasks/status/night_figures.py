"""How the last backups went: their figures, which of them are unlike their neighbours, and when a
disk is full if it goes on like that. Pure functions of numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median

NEIGHBOURS = 7
"""So many before and after are what a night is compared with."""

FEWEST = 3
"""Neighbours that say anything."""

HALF, TWICE = 0.5, 2.0


@dataclass(frozen=True, kw_only=True)
class Night:
    """A backup that succeeded. A figure that nobody counted is None."""

    run: str
    at: datetime
    size: int | None = None
    """Bytes of the package."""
    seconds: float | None = None
    rows: int | None = None
    files: int | None = None


@dataclass(frozen=True, kw_only=True)
class Unlike:
    """A figure that is unlike those of the nights around it."""

    value: float
    usual: float
    """The median of the neighbours."""

    @property
    def words(self) -> str:
        """What it is, beside what is usual."""
        if self.value < self.usual:
            return "none" if not self.value else f"1/{self.usual / self.value:.1f} of the usual"
        return f"{self.value / self.usual:.1f} times the usual"


def unlike(values: Sequence[float | None]) -> list[Unlike | None]:
    """Return of each value how it is unlike its neighbours: at most half, or at least twice, the
    median of those before and of those after it, where a side has enough to say anything. So a
    change is marked while it is new, and one that stays is what is usual then."""
    return [_unlike(values, number) for number in range(len(values))]


def _unlike(values: Sequence[float | None], number: int) -> Unlike | None:
    value = values[number]
    before = _known(values[max(0, number - NEIGHBOURS) : number])
    after = _known(values[number + 1 :][:NEIGHBOURS])
    usual = [median(before)] if len(before) >= FEWEST else []
    if len(after) >= (FEWEST if usual else NEIGHBOURS):
        usual.append(median(after))
    if value is None or not usual:
        return None
    if all(each and (value <= HALF * each or value >= TWICE * each) for each in usual):
        return Unlike(value=value, usual=usual[0])
    return None


def _known(values: Sequence[float | None]) -> list[float]:
    return [each for each in values if each is not None]


def growth(samples: Sequence[tuple[datetime, float]]) -> float | None:
    """Return by how much a figure grows in a day, by the line that fits best; None for fewer than
    three samples, or samples of less than a day."""
    if len(samples) < FEWEST:
        return None
    first = min(at for at, _ in samples)
    days = [(at - first) / timedelta(days=1) for at, _ in samples]
    if max(days) < 1:
        return None
    middle = sum(days) / len(days)
    mean = sum(value for _, value in samples) / len(samples)
    spread = sum((day - middle) ** 2 for day in days)
    together = sum(
        (day - middle) * (value - mean) for day, (_, value) in zip(days, samples, strict=True)
    )
    return together / spread


def ends(free: float, needed: float, a_day: float | None, now: datetime) -> datetime | None:
    """Return when a disk has no room for `needed` bytes any more if it loses `a_day` bytes a day;
    None where it loses none, or that is more than ten years away."""
    if a_day is None or a_day <= 0:
        return None
    days = max(0.0, (free - needed) / a_day)
    return now + timedelta(days=days) if days < 3650 else None
