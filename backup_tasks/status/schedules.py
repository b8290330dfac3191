"""What beat starts: when next, and how it ended last."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Q

from backup_tasks import moments
from backup_tasks.models import Run
from backup_tasks.runs.nights import Night

_LOOKED_AT = 100
"""Scheduled runs and drills."""


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
        from celery import current_app
    except ImportError:
        return {}
    schedule: Mapping[str, Mapping[str, Any]] = current_app.conf.beat_schedule or {}
    return schedule


def expects_reconciler() -> bool:
    """Whether beat is to start the reconciler."""
    return any(entry.get("task") == "backup_tasks.reconcile" for entry in entries().values())


def recent_runs() -> list[Run]:
    """Return the newest scheduled runs and the newest drills that succeeded, the newest first: for
    `schedules` and `recovery_times`."""
    wanted = Q(trigger="schedule") | Q(kind=Run.Kind.DRILL, state=Run.State.SUCCEEDED)
    return list(Run.objects.filter(wanted).defer("report").order_by("-created_at")[:_LOOKED_AT])


def recovery_times(runs: Iterable[Run]) -> list[Run]:
    """Return of `recent_runs` the drills: how long each took is how long a restore would take."""
    done = (run for run in runs if run.kind == Run.Kind.DRILL)
    return [run for run in done if run.state == Run.State.SUCCEEDED]


def schedules(runs: Iterable[Run]) -> list[Schedule]:
    """Return the schedules that start backups. `runs`: `recent_runs`."""
    last: dict[str, Run] = {}
    for run in runs:
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
