"""What an auditor asks of a month: were backups made, were they proven, what was restored, who
started and confirmed it, and were the targets met. All of it is what the ledger has."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any

from django.db.models import Q
from django.template import Context

from backup_tasks import moments
from backup_tasks.conf import backup_settings, regular_labels
from backup_tasks.errors import Misconfigured
from backup_tasks.evidence import audit
from backup_tasks.evidence.certificate_page import pages
from backup_tasks.models import AuditEntry, Run, Step
from backup_tasks.storage.installation import this_installation

_MONTH = re.compile(r"(\d{4})-(\d{2})")
_ENTRIES = 2000
"""Entries of the audit trail that a report lists."""
_REPLACES = (Run.Kind.RESTORE, Run.Kind.REINIT, Run.Kind.UNDO)


@dataclass(frozen=True, kw_only=True)
class Month:
    """From its first moment to its last, in UTC."""

    first: date
    begin: datetime
    end: datetime

    @classmethod
    def of(cls, text: str) -> Month:
        """Return the month that YYYY-MM names. Raises Misconfigured, also if it has not begun."""
        found = _MONTH.fullmatch(text)
        if not found or not (1 <= int(found[2]) <= 12 and 2000 <= int(found[1]) < 9999):
            raise Misconfigured(f"this is no month: {text!r}", hint="Write it as 2026-11.")
        first = date(int(found[1]), int(found[2]), 1)
        after = (first + timedelta(days=32)).replace(day=1)
        begin, end = (datetime(each.year, each.month, 1, tzinfo=UTC) for each in (first, after))
        if begin > moments.now():
            raise Misconfigured(f"{text} has not begun", hint="Name this month or an earlier one.")
        return cls(first=first, begin=begin, end=end)

    @property
    def until(self) -> datetime:
        """Its end, or now where it has not ended."""
        return min(self.end, moments.now())


@dataclass(frozen=True, kw_only=True)
class Ran:
    """A run, as the report tells it."""

    run: str
    kind: str
    state: str
    package: str
    at: datetime
    took: timedelta | None
    why: str
    started_by: str
    confirmed: str
    """By whom and how; empty where nobody had to."""
    certificate: bool


@dataclass(frozen=True, kw_only=True)
class Day:
    """A day of the month, with its backups and drills."""

    day: date
    backups: list[Ran]
    drills: list[Ran]

    @property
    def missed(self) -> bool:
        """No backup of all succeeded on it."""
        return not any(each.state == Run.State.SUCCEEDED for each in self.backups)


@dataclass(frozen=True, kw_only=True)
class Report:
    """A month."""

    month: Month
    project: str
    installation: str
    made_at: datetime
    days: list[Day]
    restores: list[Ran]
    longest_gap: timedelta | None
    """The recovery point at its worst: between two good backups, or until the end; None where there
    was none."""
    gap_from: datetime | None
    recovery_point_target: timedelta
    longest_drill: timedelta | None
    """The recovery time at its worst, as drills took it."""
    recovery_time_target: timedelta | None
    entries: list[AuditEntry]
    more_entries: int
    breaks: list[str]
    anchor: audit.Anchor | None

    @property
    def missed(self) -> list[date]:
        """Days on which no backup of all succeeded."""
        return [day.day for day in self.days if day.missed]

    @property
    def proofs(self) -> list[Ran]:
        """Drills that succeeded."""
        drills = [each for day in self.days for each in day.drills]
        return [each for each in drills if each.state == Run.State.SUCCEEDED]

    @property
    def failures(self) -> list[Ran]:
        """Backups, drills and restores that did not succeed."""
        ran = [each for day in self.days for each in (*day.backups, *day.drills)]
        return [each for each in (*ran, *self.restores) if each.state in ("failed", "cancelled")]

    @property
    def recovery_point_met(self) -> bool:
        """Whether the last good backup was never older than the target."""
        return self.longest_gap is not None and self.longest_gap <= self.recovery_point_target

    @property
    def recovery_time_met(self) -> bool | None:
        """Whether no drill took longer than the target; None where there is no target or drill."""
        if self.recovery_time_target is None or self.longest_drill is None:
            return None
        return self.longest_drill <= self.recovery_time_target

    def html(self) -> str:
        """Return the report as a page that is complete in itself."""
        return pages().get_template("report.html").render(Context({"report": self}))


def report_of(text: str) -> Report:
    """Return the report of the month YYYY-MM. Raises Misconfigured, LEDGER_ERRORS."""
    month = Month.of(text)
    settings = backup_settings()
    in_month = Run.objects.filter(created_at__gte=month.begin, created_at__lt=month.end)
    runs = list(in_month.defer("report").order_by("created_at"))
    told = _Told(runs)
    begin = _begin(month)
    gap, since = _longest_gap(month, begin)
    days = _days(month, begin, runs, told)
    took = [run.took for day in days for run in day.drills if run.took and run.state == "succeeded"]
    trail = AuditEntry.objects.filter(at__gte=month.begin, at__lt=month.end).order_by("position")
    entries = list(trail[:_ENTRIES])
    return Report(
        month=month,
        project=settings.project,
        installation=this_installation(),
        made_at=moments.now(),
        days=days,
        restores=[told.of(run) for run in runs if run.kind in _REPLACES or _promoted(run)],
        longest_gap=gap,
        gap_from=since,
        recovery_point_target=settings.warn_after,
        longest_drill=max(took, default=None),
        recovery_time_target=settings.recovery_time,
        entries=entries,
        more_entries=trail.count() - len(entries),
        breaks=list(audit.broken()),
        anchor=audit.anchor(),
    )


class _Told:
    """What the audit trail and the steps say of runs, read once for all."""

    def __init__(self, runs: Sequence[Run]) -> None:
        ids = {run.pk for run in runs}
        since = min((run.created_at for run in runs), default=moments.now())
        entries = AuditEntry.objects.filter(
            what__in=("started", "confirmed"), at__gte=since - timedelta(hours=1)
        )
        self._entries: dict[tuple[str, str], AuditEntry] = {
            (each.what, each.obj): each for each in entries.order_by("position") if each.obj in ids
        }
        steps = Step.objects.filter(
            name="discard", run__created_at__gte=since - timedelta(hours=1)
        ).values_list("run_id", "result")
        self._certified = {run for run, result in steps if result.get("certificate")}

    def of(self, run: Run) -> Ran:
        started = self._entries.get(("started", run.pk))
        confirmed = self._entries.get(("confirmed", run.pk))
        by = started.by if started else run.requested_by
        return Ran(
            run=run.pk,
            kind=run.kind,
            state=run.state,
            package=run.package,
            at=run.created_at,
            took=_length(run),
            why=str((run.error or {}).get("what", "")),
            started_by=f"{by or 'the system'} ({run.trigger})",
            confirmed=f"{confirmed.by}: {confirmed.details.get('confirmed', '')}"
            if confirmed
            else "",
            certificate=run.pk in self._certified,
        )


def _begin(month: Month) -> datetime:
    """Return the begin of the month, or of the ledger where that is later."""
    first = Run.objects.order_by("created_at").values_list("created_at", flat=True).first()
    return max(month.begin, first) if first and first < month.end else month.begin


def _days(month: Month, begin: datetime, runs: Sequence[Run], told: _Told) -> list[Day]:
    found: list[Day] = []
    day = begin.astimezone(UTC).date()
    while datetime(day.year, day.month, day.day, tzinfo=UTC) < month.until:
        here = [run for run in runs if run.created_at.astimezone(UTC).date() == day]
        found.append(
            Day(
                day=day,
                backups=[told.of(run) for run in here if _is_backup(run)],
                drills=[told.of(run) for run in here if run.kind == Run.Kind.DRILL],
            )
        )
        day += timedelta(days=1)
    return found


def _length(run: Run) -> timedelta | None:
    """Return how long it took, to the second above."""
    if not (run.finished_at and run.started_at):
        return None
    return _whole(run.finished_at - run.started_at)


def _whole(length: timedelta) -> timedelta:
    return timedelta(seconds=math.ceil(length.total_seconds()))


def _is_backup(run: Run) -> bool:
    """Whether it was to make a backup of all into a store, which can be the last good one."""
    asked: dict[str, Any] = run.params
    return (
        run.kind in (Run.Kind.BACKUP, Run.Kind.CYCLE)
        and asked.get("type", "full") == "full"
        and not any(asked.get(name) for name in ("output", "include", "exclude"))
        and (asked.get("label") or "") in regular_labels()
    )


def _promoted(run: Run) -> bool:
    return run.kind == Run.Kind.CYCLE and bool(run.params.get("promote"))


def _longest_gap(month: Month, begin: datetime) -> tuple[timedelta | None, datetime | None]:
    """Return the longest time without a good backup, and when it began. A backup of before the
    month counts until the next one; where there was none, so does the time from `begin` on."""
    good = Run.objects.filter(
        Q(kind=Run.Kind.BACKUP) | Q(kind=Run.Kind.CYCLE), state=Run.State.SUCCEEDED
    ).defer("report")
    before = good.filter(started_at__lt=month.begin).order_by("-started_at")[:50]
    last = next((run.started_at for run in before if _is_backup(run)), None)
    within = good.filter(started_at__gte=month.begin, started_at__lt=month.end)
    made = [run.started_at for run in within.order_by("started_at") if _is_backup(run)]
    if last is None and not made:
        return None, None
    ends = [last or begin, *[each for each in made if each is not None], month.until]
    gap, since = max((later - earlier, earlier) for earlier, later in pairwise(ends))
    return _whole(gap), since
