"""What beat starts: when next, and how it ended last."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from backup_tasks import moments
from backup_tasks.models import Run
from backup_tasks.runs.nights import Night

_LOOKED_AT = 100
"""Scheduled runs."""


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """An entry of beat's schedule that starts backups."""

    name: str
    policy: str
    next_at: datetime | None
    """None where the kind of schedule does not say."""
    last: Run | None
    """Its last run, if it is among the last ones that any schedule started."""


def entries() -> Mapping[str, Mapping[str, Any]]:
    """Return beat's schedule as Celery is configured here; empty without Celery. Entries that
    django-celery-beat keeps in the database are not among them."""
    try:
        from backup_tasks.tasks import nightly
    except ImportError:
        return {}
    schedule: Mapping[str, Mapping[str, Any]] = nightly.app.conf.beat_schedule or {}
    return schedule


def expects_reconciler() -> bool:
    """Whether beat is to start the reconciler."""
    return any(entry.get("task") == "backup_tasks.reconcile" for entry in entries().values())


def schedules() -> list[Schedule]:
    """Return the schedules that start backups."""
    last: dict[str, Run] = {}
    runs = Run.objects.filter(trigger="schedule").defer("report").order_by("-created_at")
    for run in runs[:_LOOKED_AT]:
        if night := Night.of(run):
            last.setdefault(night.policy, run)
    found = []
    for name, entry in entries().items():
        if entry.get("task") == "backup_tasks.nightly":
            policy = str((entry.get("kwargs") or {}).get("policy", ""))
            found.append(
                Schedule(
                    name=name,
                    policy=policy,
                    next_at=_next(entry.get("schedule")),
                    last=last.get(policy),
                )
            )
    return found


def _next(schedule: Any) -> datetime | None:
    """Ask Celery's schedule. Source: `celery.schedules.BaseSchedule.remaining_estimate`."""
    estimate = getattr(schedule, "remaining_estimate", None)
    remaining = estimate(moments.now()) if estimate else None
    return moments.now() + remaining if isinstance(remaining, timedelta) else None
