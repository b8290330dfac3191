"""Which packages to keep. Pure functions: what they are given is all they look at."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from backup_tasks.conf import Retention

FAILED_FOR = timedelta(days=30)
"""How long a package that failed a test is kept in any case: it may be all that is left."""


@dataclass(frozen=True, kw_only=True)
class DatedPackage:
    """A package, as far as retention is concerned."""

    name: str
    created_at: datetime
    failed_at: datetime | None = None
    """When it failed a test that it has not passed since; when it was made, if it lacks files."""
    fault: str = "it failed a test"
    """What is wrong with one that has `failed_at`."""


@dataclass(frozen=True, kw_only=True)
class Decision:
    """Whether a package stays, and by which rule."""

    package: DatedPackage
    keep: bool
    why: str


def keep_reasons(packages: Sequence[DatedPackage], policy: Retention) -> dict[str, str]:
    """Return the names of the packages that the policy keeps, each with the rule that keeps it.

    Kept are the newest package of each of the last `hourly` hours, `daily` days, `weekly` ISO weeks
    and `monthly` months that have packages at all, and the `minimum` newest. Days are UTC. Call it
    with packages of one project and one label: others' are never weighed against these (P2).
    """
    newest_first = _newest_first(packages)
    rules: list[tuple[int, Callable[[datetime], str], str]] = [
        (policy.hourly, lambda moment: f"{moment:%Y-%m-%d %H}:00", "hour"),
        (policy.daily, lambda moment: f"{moment:%Y-%m-%d}", "day"),
        (policy.weekly, _week, "week"),
        (policy.monthly, lambda moment: f"{moment:%Y-%m}", "month"),
    ]
    kept: dict[str, str] = {}
    for number, period, what in rules:
        newest: dict[str, str] = {}
        for package in newest_first:
            newest.setdefault(period(package.created_at), package.name)
        for which, name in list(newest.items())[:number]:
            kept.setdefault(name, f"the newest of {what} {which}")
    for package in newest_first[: policy.minimum]:
        kept.setdefault(package.name, f"one of the {policy.minimum} newest")
    return kept


def plan(
    packages: Sequence[DatedPackage], policy: Retention, *, now: datetime, held: Mapping[str, str]
) -> list[Decision]:
    """Decide on the packages of one project, label and type, newest first.

    `held` are packages that stay whatever the policy says, each with the reason. The newest sound
    package always stays. One that failed, or lacks files, counts for no rule. It stays for 30
    days, and while it is the only one of a day that the policy would keep.
    """
    sound = [package for package in _newest_first(packages) if package.failed_at is None]
    kept = keep_reasons(sound, policy)
    if sound:
        kept.setdefault(sound[0].name, "the newest sound one")
    days = {package.created_at.date() for package in sound}
    alone = [each for each in packages if each.failed_at and each.created_at.date() not in days]
    needed = keep_reasons([*sound, *alone], policy)

    def decide(package: DatedPackage) -> Decision:
        failed_at = package.failed_at
        if reason := held.get(package.name) or kept.get(package.name):
            return Decision(package=package, keep=True, why=reason)
        if failed_at is None:
            why = "no rule of the retention needs it"
            return Decision(package=package, keep=False, why=why)
        until = failed_at + FAILED_FOR
        if until > now:
            why = f"{package.fault}; kept until {until:%Y-%m-%d}"
            return Decision(package=package, keep=True, why=why)
        if package in alone and package.name in needed:
            why = f"{package.fault}, but it is the only one of its day"
            return Decision(package=package, keep=True, why=why)
        why = f"{package.fault}, since {failed_at:%Y-%m-%d}"
        return Decision(package=package, keep=False, why=why)

    return [decide(package) for package in _newest_first(packages)]


def removable(decisions: Sequence[Decision], policy: Retention) -> tuple[list[str], list[str]]:
    """Return which packages of a store go now and which wait for the next time: at most the
    policy's share of all, and at least one, goes at once. The oldest go first, failed ones last."""
    going = [decision.package for decision in decisions if not decision.keep]
    going.sort(key=lambda each: (each.failed_at is not None, each.created_at, each.name))
    most = max(1, int(len(decisions) * policy.share))
    names = [package.name for package in going]
    return names[:most], names[most:]


def expendable(packages: Sequence[DatedPackage], policy: Retention) -> list[str]:
    """Return the names of the packages that no rule of the policy keeps, oldest first."""
    kept = keep_reasons(packages, policy)
    return [each.name for each in reversed(_newest_first(packages)) if each.name not in kept]


def _newest_first(packages: Sequence[DatedPackage]) -> list[DatedPackage]:
    return sorted(packages, key=lambda each: (each.created_at, each.name), reverse=True)


def _week(moment: datetime) -> str:
    year, week, _ = moment.isocalendar()
    return f"{year}-W{week:02}"
