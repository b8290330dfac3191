"""What beat starts: when next, and how it ended last."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.apps import apps
from django.db.models import Q

from backup_tasks import moments
from backup_tasks.conf import backup_settings
from backup_tasks.models import Run
from backup_tasks.runs.slot import Slot

_LOOKED_AT = 80
"""Scheduled runs, backups and drills."""


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """An entry of beat's schedule that starts runs."""

    name: str
    next_at: datetime | None
    """None where the kind of schedule does not say."""
    last: Run | None
    """Its last run, if it is among the last ones that any schedule started."""


def entries() -> Mapping[str, Mapping[str, Any]]:
    """Return beat's schedule as Celery is configured here, with the entries that django-celery-beat
    keeps in the database in place of those of the same name; empty without Celery."""
    try:
        from celery import current_app
    except ImportError:
        return {}
    configured: Mapping[str, Mapping[str, Any]] = current_app.conf.beat_schedule or {}
    return {**configured, **_edited()}


def _edited() -> dict[str, Mapping[str, Any]]:
    if not apps.is_installed("django_celery_beat"):
        return {}
    rows = apps.get_model("django_celery_beat", "PeriodicTask").objects.filter(
        task__startswith="backup_tasks."
    )
    return {
        row.name: {"task": row.task, "schedule": row.schedule, "kwargs": json.loads(row.kwargs)}
        if row.enabled
        else {}
        for row in rows.select_related("crontab", "interval", "solar", "clocked")
    }


def without_entry() -> list[str]:
    """Return the schedules of the settings that beat never starts. Where beat has no entry of this
    app at all, something else starts backups: none."""
    named = {_started_by(entry) for entry in entries().values()} - {""}
    return sorted(set(backup_settings().schedules) - named) if named else []


def _started_by(entry: Mapping[str, Any]) -> str:
    """Return the name of the schedule whose runs the entry starts, nothing for another task."""
    if entry.get("task") != "backup_tasks.scheduled":
        return ""
    return str((entry.get("kwargs") or {}).get("schedule", ""))


def expects_reconciler() -> bool:
    """Whether beat is to start the reconciler."""
    return any(entry.get("task") == "backup_tasks.reconcile" for entry in entries().values())


def recent_runs() -> list[Run]:
    """Return the newest scheduled runs and the newest backups and drills that succeeded, the newest
    first: for `schedules`, `recovery_times`, and the figures of the nights."""
    shown = (Run.Kind.BACKUP, Run.Kind.CYCLE, Run.Kind.DRILL)
    wanted = Q(trigger="schedule") | Q(kind__in=shown, state=Run.State.SUCCEEDED)
    return list(Run.objects.filter(wanted).order_by("-created_at")[:_LOOKED_AT])


def recovery_times(runs: Iterable[Run]) -> list[Run]:
    """Return of `recent_runs` the drills: how long each took is how long a restore would take."""
    done = (run for run in runs if run.kind == Run.Kind.DRILL)
    return [run for run in done if run.state == Run.State.SUCCEEDED]


def schedules(runs: Iterable[Run]) -> list[Schedule]:
    """Return the schedules that start runs. `runs`: `recent_runs`."""
    last: dict[str, Run] = {}
    for run in runs:
        if slot := Slot.of(run):
            last.setdefault(slot.schedule, run)
    return [
        Schedule(name=name, next_at=_next(entry.get("schedule")), last=last.get(name))
        for entry in entries().values()
        if (name := _started_by(entry))
    ]


def _next(schedule: Any) -> datetime | None:
    """Ask Celery's schedule. Source: `celery.schedules.BaseSchedule.remaining_estimate`."""
    estimate = getattr(schedule, "remaining_estimate", None)
    remaining = estimate(moments.now()) if estimate else None
    return moments.now() + remaining if isinstance(remaining, timedelta) else None
