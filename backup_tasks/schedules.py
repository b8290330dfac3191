"""What `BACKUP["SCHEDULES"]` says: which runs beat starts, and when each was and will be due."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property
from typing import Any
from zoneinfo import ZoneInfo

from backup_tasks.errors import Misconfigured

NIGHTLY: Mapping[str, Mapping[str, Any]] = {"nightly": {"cron": "30 2 * * *", "drill": True}}
"""The schedules of a project that sets none."""

EARLY = timedelta(hours=2)
"""So long before it is due, at most, a start counts for what comes: the clocks of beat and workers
differ, and where beat goes by a local clock, the day that it is changed comes an hour early."""

_TYPES = ("full", "database", "files")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")
_A_DAY = timedelta(days=1)
_DAYS = 8 * 366
"""The 29th of February comes at least once in so many days."""


@dataclass(frozen=True, kw_only=True)
class Due:
    """A moment at which a schedule is due."""

    local: datetime
    """By the clock of the schedule's zone, naive: it names the slot, so that an hour that the clock
    has twice is one."""
    at: datetime
    """The same in UTC."""


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """An entry of `BACKUP["SCHEDULES"]`."""

    name: str
    """Unique, in slots for ever: one that gets another name is another schedule."""

    cron: str
    """Minute, hour, day of the month, month and day of the week, as Celery's `crontab` reads
    them."""

    time_zone: str = "UTC"
    """UTC has no hour that is missing or happens twice."""

    run: str = "backup"
    """`backup`, or `drill`: of the newest full package that counts."""

    type: str = "full"
    """What goes into a backup's package: full, database or files."""

    label: str = ""
    """Of a backup's packages. `RETENTION_BY_LABEL` may have a retention for it."""

    drill: bool = False
    """Whether a drill follows the backup."""

    store: str = ""
    """A drill takes its package from this store: its alias. Empty: from any."""

    @classmethod
    def of(cls, name: object, value: object) -> Schedule:
        """Return the schedule that a project set: a dictionary of the fields. Raises
        Misconfigured."""
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise _wrong(name, "its name is not of up to 40 letters, digits, - and _")
        if not isinstance(value, Mapping):
            raise _wrong(name, f"it is no dictionary but {value!r}")
        known = {each.name for each in fields(cls)} - {"name"}
        if unknown := [repr(key) for key in value if key not in known]:
            raise _wrong(name, f"unknown key {', '.join(unknown)}")
        if "cron" not in value:
            raise _wrong(name, "it has no `cron`: when it is due")
        found = cls(name=name, **value)
        if problem := found.problem():
            raise _wrong(name, problem)
        return found

    def problem(self) -> str:
        """Return what is wrong with it, nothing where it can be used."""
        for field in ("cron", "time_zone", "run", "type", "label", "store"):
            if not isinstance(getattr(self, field), str):
                return f"{field} is no text but {getattr(self, field)!r}"
        drill: object = self.drill
        if not isinstance(drill, bool):
            return f"drill is neither True nor False but {self.drill!r}"
        if self.run not in ("backup", "drill"):
            return f"run is neither 'backup' nor 'drill' but {self.run!r}"
        if self.type not in _TYPES:
            return f"type is none of {', '.join(_TYPES)} but {self.type!r}"
        return self._problem_of_kind() or self._problem_of_time()

    def _problem_of_kind(self) -> str:
        if self.run == "drill" and (self.drill or self.label or self.type != "full"):
            return "a drill makes no package: it has no type, label or drill"
        if self.run == "backup" and self.store:
            return "store says where a drill takes its package from; a backup goes to STORES[0]"
        return ""

    def _problem_of_time(self) -> str:
        try:
            _ = self.zone
        except (KeyError, OSError, ValueError):
            return f"time_zone names no zone: {self.time_zone!r}"
        try:
            _ = self.crontab
        except ValueError as error:
            return f"cron can't be read: {error}"
        return ""

    @cached_property
    def zone(self) -> ZoneInfo:
        """Raises KeyError, OSError or ValueError for what is no zone."""
        return ZoneInfo(self.time_zone)

    @cached_property
    def crontab(self) -> Any:
        """Celery's, whose stubs lack the sets of minutes, hours and days. Raises ValueError."""
        from celery.schedules import ParseException, crontab

        parts = self.cron.split()
        if len(parts) != 5:
            raise ValueError(f"{self.cron!r} has not five fields")
        minute, hour, day_of_month, month_of_year, day_of_week = parts
        try:
            return crontab(minute, hour, day_of_week, day_of_month, month_of_year)
        except ParseException as error:
            raise ValueError(str(error)) from error

    def params(self) -> dict[str, Any]:
        """Return what a run of it is asked for, see `runs.chains.PARAMS`."""
        if self.run == "drill":
            return {"store": self.store}
        return {"type": self.type, "label": self.label, "then": "drill" if self.drill else ""}

    def meant(self, now: datetime) -> Due:
        """Return what a start at this moment is meant for: what was due last; or what is due next,
        if that is within `EARLY` and a quarter of the time between the two."""
        last, following = self.last(now), self.next(now)
        if following.at - now <= min(EARLY, (following.at - last.at) / 4):
            return following
        return last

    def last(self, now: datetime) -> Due:
        """Return when it was due last, this very moment included."""
        today = now.astimezone(self.zone).date() + _A_DAY  # a zone's day may be repeated
        for day in (today - n * _A_DAY for n in range(_DAYS)):
            past = [due for due in self._on(day) if due.at <= now]
            if past:
                return max(past, key=_at)
        raise ValueError(f"{self.cron!r} is never due")  # crontab refuses such days of a month

    def next(self, now: datetime) -> Due:
        """Return when it is due next, later than this moment."""
        today = now.astimezone(self.zone).date() - _A_DAY
        for day in (today + n * _A_DAY for n in range(_DAYS)):
            coming = [due for due in self._on(day) if due.at > now]
            if coming:
                return min(coming, key=_at)
        raise ValueError(f"{self.cron!r} is never due")

    def _on(self, day: date) -> Iterator[Due]:
        cron = self.crontab
        if (
            day.day not in cron.day_of_month
            or day.month not in cron.month_of_year
            or day.isoweekday() % 7 not in cron.day_of_week
        ):
            return
        for hour in cron.hour:
            for minute in cron.minute:
                local = datetime.combine(day, time(hour, minute))
                yield Due(local=local, at=local.replace(tzinfo=self.zone).astimezone(UTC))


def _at(due: Due) -> datetime:
    return due.at


def _wrong(name: object, problem: str) -> Misconfigured:
    return Misconfigured(
        f"BACKUP['SCHEDULES'] can't be used: {name!r}: {problem}",
        obj="SCHEDULES",
        hint='Write {"nightly": {"cron": "30 2 * * *", "drill": True}}; the settings reference has '
        "all keys.",
    )


def schedules_of(value: object) -> dict[str, Schedule]:
    """Return the schedules that a project set, by name. Raises Misconfigured."""
    if not isinstance(value, Mapping):
        raise _wrong("SCHEDULES", f"it is no dictionary but {value!r}")
    return {str(name): Schedule.of(name, each) for name, each in value.items()}
