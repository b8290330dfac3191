"""The runs that beat starts: one for each time that a schedule is due, however often and when
exactly beat says so; and backups again while they have failed."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta

from backup_tasks import ledger, moments
from backup_tasks.conf import backup_settings
from backup_tasks.errors import Cancelled, Misconfigured
from backup_tasks.models import Run
from backup_tasks.runs import chains
from backup_tasks.schedules import Schedule

logger = logging.getLogger(__name__)

_A_DAY = timedelta(days=1)
_JUST_NOW = timedelta(hours=1)
_SLOT = re.compile(r"(?P<schedule>.+)-(?P<due>\d{4}-\d\d-\d\d(T\d\d:\d\d)?)(#(?P<attempt>\d+))?")


@dataclass(frozen=True, kw_only=True)
class Slot:
    """A time at which a schedule is due. Its text is unique in the ledger."""

    schedule: str
    due: str
    """YYYY-MM-DDTHH:MM, by the clock of the schedule's zone."""
    attempt: int = 1

    @property
    def text(self) -> str:
        """What `chains.start_once` is told: SCHEDULE-DUE, and #N for later attempts."""
        again = f"#{self.attempt}" if self.attempt > 1 else ""
        return f"{self.schedule}-{self.due}{again}"

    @classmethod
    def of(cls, run: Run) -> Slot | None:
        """Return what the run was started for, None where no schedule started it."""
        if run.trigger != "schedule" or not (found := _SLOT.fullmatch(run.slot or "")):
            return None
        attempt = int(found["attempt"] or 1)
        return cls(schedule=found["schedule"], due=found["due"], attempt=attempt)


def named(schedule: str) -> Schedule:
    """Return the schedule of that name. Raises Misconfigured where the settings have none."""
    schedules = backup_settings().schedules
    try:
        return schedules[schedule]
    except KeyError:
        raise Misconfigured(
            f"beat started a schedule that the settings do not have: {schedule!r}",
            obj=f"schedule {schedule}",
            hint=f"BACKUP['SCHEDULES'] has {', '.join(schedules) or 'none'}. Add it there, or "
            "remove beat's entry; django-celery-beat keeps its entries in the database.",
        ) from None


def start(schedule: Schedule) -> tuple[Run, bool]:
    """Start the run that the schedule is due for now; return it and True. Where there is one
    already, return that and False. Hours after that one, it is logged and in the ledger that a run
    was skipped: a clock or a schedule is wrong."""
    due = schedule.meant(moments.now()).local.isoformat(timespec="minutes")
    slot = Slot(schedule=schedule.name, due=due).text
    run = chains.start_once(slot, schedule.run, trigger="schedule", params=schedule.params())
    if run is not None:
        return run, True
    first = Run.objects.get(slot=slot)
    age = moments.now() - first.created_at
    taken = Cancelled(
        f"no {schedule.run} is started: {slot} has had its run, {first.pk}, created at "
        f"{first.created_at.isoformat(timespec='seconds')}",
        obj=slot,
        hint="A run was missed if this was meant to be another one. Look at the schedule, the "
        "entry that beat has of it, and the clocks of beat and workers.",
    )
    if age < _JUST_NOW:  # two beats start it twice
        logger.info("%s", taken.what)
    else:
        logger.warning("%s", taken)
        ledger.skip(schedule.run, slot=slot, trigger="schedule", why=taken)
    return first, False


def start_again() -> Iterator[tuple[Run, Run]]:
    """Start the scheduled backups again that failed some time ago, see
    `BACKUP["RETRY_NIGHT_AFTER"]`, and since which there is no good one; yield each failed run and
    the new one.

    Two that do this at once start one. A run that somebody cancelled is not started again.
    """
    after = backup_settings().retry_night_after
    if after is None:
        return
    last: dict[str, tuple[Slot, Run]] = {}
    recent = Run.objects.filter(kind=Run.Kind.BACKUP, created_at__gt=moments.now() - _A_DAY)
    for run in recent.order_by("created_at"):
        if slot := Slot.of(run):
            last[slot.schedule] = slot, run
    for slot, run in last.values():
        if run.state != Run.State.FAILED:
            continue
        if run.finished_at is None or run.finished_at > moments.now() - after:
            continue
        first = Run.objects.filter(slot=replace(slot, attempt=1).text).first()
        if first is None or first.created_at < moments.now() - _A_DAY or _is_backed_up(first):
            continue
        again = chains.start_once(
            replace(slot, attempt=slot.attempt + 1).text,
            Run.Kind.BACKUP,
            trigger="schedule",
            params={name: run.params[name] for name in ("type", "label", "then")},
        )
        if again is not None:
            logger.warning("%s failed: %s tries again", run.pk, again.pk)
            yield run, again


def _is_backed_up(first: Run) -> bool:
    """Whether all that the run was to back up went into a store since it was started."""
    since = Run.objects.filter(created_at__gte=first.created_at, state=Run.State.SUCCEEDED)
    return any(
        run.params.get("type") in ("full", first.params.get("type"))
        and not any(run.params.get(name) for name in ("output", "include", "exclude"))
        and run.params.get("include_users") is not False
        for run in since.filter(kind__in=(Run.Kind.BACKUP, Run.Kind.CYCLE))
    )
