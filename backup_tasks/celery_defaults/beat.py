"""Beat's entries, made from `BACKUP["SCHEDULES"]`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from celery.schedules import crontab

from backup_tasks.schedules import Schedule, schedules_of


class ZonedCrontab(crontab):
    """Celery's crontab by the clock of a schedule's zone, where Celery's own goes by the app's.
    django-celery-beat takes the zone over."""

    def __init__(self, schedule: Schedule) -> None:
        minute, hour, day_of_month, month_of_year, day_of_week = schedule.cron.split()
        super().__init__(minute, hour, day_of_week, day_of_month, month_of_year)
        self.schedule = schedule

    def now(self) -> datetime:
        return datetime.now(self.tz)

    @property
    def tz(self) -> ZoneInfo:  # type: ignore[override]  # the stubs say that it is a text
        return self.schedule.zone

    def __eq__(self, other: object) -> bool:
        return super().__eq__(other) and self.tz == getattr(other, "tz", None)

    def __reduce__(self) -> tuple[Any, ...]:
        return ZonedCrontab, (self.schedule,)


def entries(schedules: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return `beat_schedule` for these, as `BACKUP["SCHEDULES"]` has them, and the reconciler.
    Raises Misconfigured."""
    made = {schedule.name: _entry(schedule) for schedule in schedules_of(schedules).values()}
    return {
        **made,
        "reconcile": {
            "task": "backup_tasks.reconcile",
            "schedule": timedelta(minutes=1),
            "options": {"expires": 55},  # the next one does what this one would have done
        },
    }


def _entry(schedule: Schedule) -> dict[str, Any]:
    # What is asked for is read from the settings when it is due: who changes a schedule's label
    # need not restart beat. Its run is unique on what it was due for: two beats start one (C15).
    return {
        "task": "backup_tasks.scheduled",
        "schedule": ZonedCrontab(schedule),
        "kwargs": {"schedule": schedule.name},
    }
