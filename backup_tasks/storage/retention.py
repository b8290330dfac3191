"""Which packages to keep. A pure function: what it is given is all it looks at."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from backup_tasks.conf import Retention


@dataclass(frozen=True, kw_only=True)
class Kept:
    """A package, as far as retention is concerned."""

    name: str
    created_at: datetime


def expendable(packages: Sequence[Kept], policy: Retention) -> list[str]:
    """Return the names of the packages that the policy does not keep, oldest first.

    Kept are the newest package of each of the last `daily` days, `weekly` ISO weeks and `monthly`
    months that have packages at all, and the `minimum` newest. Days are UTC. Call it with packages
    of one project and one label: others' packages are never weighed against these (P2).
    """
    newest_first = sorted(packages, key=lambda package: package.created_at, reverse=True)
    keep = {package.name for package in newest_first[: policy.minimum]}
    rules: list[tuple[int, Callable[[datetime], object]]] = [
        (policy.daily, lambda moment: moment.date()),
        (policy.weekly, lambda moment: moment.isocalendar()[:2]),
        (policy.monthly, lambda moment: (moment.year, moment.month)),
    ]
    for number, period in rules:
        newest: dict[object, str] = {}
        for package in newest_first:
            newest.setdefault(period(package.created_at), package.name)
        keep.update(list(newest.values())[:number])
    return [package.name for package in reversed(newest_first) if package.name not in keep]
