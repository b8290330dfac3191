"""The nightly backups: one a night, however often and when exactly beat says so, and again while it
has failed."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta

from backup_tasks import ledger, moments
from backup_tasks.conf import backup_settings
from backup_tasks.errors import Cancelled, Misconfigured
from backup_tasks.models import Run
from backup_tasks.runs import chains

logger = logging.getLogger(__name__)

EARLY = timedelta(hours=2)
"""So long before it is due, a start counts for the coming night: the clocks of beat and workers
differ, and where beat goes by a local clock, the day that it is changed comes an hour early."""

_A_DAY = timedelta(days=1)
_JUST_NOW = timedelta(hours=1)
_SLOT = re.compile(r"(?P<policy>.+)-(?P<day>\d{4}-\d\d-\d\d)(#(?P<attempt>\d+))?")


@dataclass(frozen=True, kw_only=True)
class Night:
    """A backup that a schedule wants. Its slot is unique in the ledger."""

    policy: str
    day: date
    """On which it was due, in UTC."""
    attempt: int = 1

    @property
    def slot(self) -> str:
        """What `chains.start_once` is told: POLICY-YYYY-MM-DD, and #N for later attempts."""
        again = f"#{self.attempt}" if self.attempt > 1 else ""
        return f"{self.policy}-{self.day}{again}"

    @classmethod
    def of(cls, run: Run) -> Night | None:
        """Return the night that the run was started for."""
        if run.trigger != "schedule" or not (found := _SLOT.fullmatch(run.slot or "")):
            return None
        return cls(
            policy=found["policy"],
            day=date.fromisoformat(found["day"]),
            attempt=int(found["attempt"] or 1),
        )


def due_at(policy: str, due: str, now: datetime) -> Night:
    """Return the night that was due last, or is within `EARLY`. `due` is its time of day in UTC, as
    HH:MM. Raises Misconfigured."""
    try:
        time = datetime.strptime(due, "%H:%M").replace(tzinfo=UTC).time()
    except ValueError as error:
        raise Misconfigured(
            f"the schedule's `due` is no time of day: {due!r}",
            obj=f"policy {policy}",
            hint='Write the schedule\'s own time, in UTC, such as "02:30".',
        ) from error
    after_midnight = timedelta(hours=time.hour, minutes=time.minute)
    return Night(policy=policy, day=(now.astimezone(UTC) + EARLY - after_midnight).date())


def start(night: Night) -> tuple[Run, bool]:
    """Start the night's backup, which a drill follows; return it and True. Where the night has had
    its run, return that one and False. Hours after that one, it
    is logged and in the ledger that a backup was skipped: a clock or a schedule is wrong."""
    run = chains.start_once(
        night.slot, Run.Kind.BACKUP, trigger="schedule", params={"then": "drill"}
    )
    if run is not None:
        return run, True
    first = Run.objects.get(slot=night.slot)
    age = moments.now() - first.created_at
    taken = Cancelled(
        f"no backup is started: {night.slot} has had its run, {first.pk}, created at "
        f"{first.created_at.isoformat(timespec='seconds')}",
        obj=night.slot,
        hint="A night was missed if this was meant to be another one. Look at the schedule, its "
        "`due`, and the clocks of beat and workers.",
    )
    if age < _JUST_NOW:  # two beats start it twice
        logger.info("%s", taken.what)
    else:
        logger.warning("%s", taken)
        ledger.skip(Run.Kind.BACKUP, slot=night.slot, trigger="schedule", why=taken)
    return first, False


def start_again() -> Iterator[tuple[Run, Run]]:
    """Start the nights again that failed some time ago, see `BACKUP["RETRY_NIGHT_AFTER"]`, and of
    whose day there is no good backup; yield each failed run and the new one.

    Two that do this at once start one. A run that somebody cancelled is not started again.
    """
    after = backup_settings().retry_night_after
    if after is None:
        return
    last: dict[str, tuple[Night, Run]] = {}
    for run in Run.objects.filter(created_at__gt=moments.now() - _A_DAY).order_by("created_at"):
        if night := Night.of(run):
            last[night.policy] = night, run
    for night, run in last.values():
        if run.state != Run.State.FAILED:
            continue
        if run.finished_at is None or run.finished_at > moments.now() - after:
            continue
        first = Run.objects.filter(slot=replace(night, attempt=1).slot).first()
        if first is None or first.created_at < moments.now() - _A_DAY or _is_backed_up(first):
            continue
        again = chains.start_once(
            replace(night, attempt=night.attempt + 1).slot,
            Run.Kind.BACKUP,
            trigger="schedule",
            params={"then": "drill"},
        )
        if again is not None:
            logger.warning("%s failed: %s tries again", run.pk, again.pk)
            yield run, again


def _is_backed_up(first: Run) -> bool:
    """Whether all of the project went into a store since that run was started."""
    since = Run.objects.filter(created_at__gte=first.created_at, state=Run.State.SUCCEEDED)
    return any(
        run.params.get("type") == "full"
        and not any(run.params.get(name) for name in ("output", "include", "exclude"))
        and run.params.get("include_users") is not False
        for run in since.filter(kind__in=(Run.Kind.BACKUP, Run.Kind.CYCLE))
    )
