"""What the ledger knows of runs, and Celery's results of the reconciler."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.apps import apps
from django.db.models import Max, Q
from django.utils import timezone

from backup_tasks import moments
from backup_tasks.conf import backup_settings
from backup_tasks.ledger import replaced
from backup_tasks.ledger.rows import is_live
from backup_tasks.models import Run, Step, UndoPoint
from backup_tasks.status.facts import Ended, RecoveryPoint

KINDS = (Run.Kind.BACKUP, Run.Kind.DRILL, Run.Kind.CYCLE, Run.Kind.VERIFY, Run.Kind.PRUNE)
"""Kinds whose failure says something of backups. A restore, reset or undo that fails leaves live as
it was, and whoever started it knows."""

_LIMIT = 100


def facts_of(
    points: Sequence[RecoveryPoint], undo: Sequence[UndoPoint] | None = None
) -> dict[str, Any]:
    """Return the fields of `Facts` that the ledger decides. `undo`: `replaced.not_undone`, where
    the caller has it. Raises LEDGER_ERRORS."""
    ends = [
        (each["kind"], each["state"], each["last"])
        for each in Run.objects.order_by().values("kind", "state").annotate(last=Max("finished_at"))
    ]
    active = any(state in Run.ACTIVE for _, state, _ in ends)
    return {
        **_ended(points, {(kind, state): last for kind, state, last in ends if last}),
        "stuck": _stuck() if active else [],
        "half_done": replaced.half_done(undo),
    }


def reconciled_at() -> datetime | None:
    """Return when Celery last had a result of the reconciler, None where it had none or keeps its
    results elsewhere."""
    from django_celery_results.models import TaskResult

    results = TaskResult.objects.filter(task_name="backup_tasks.reconcile")
    done = results.order_by("-date_done").values_list("date_done", flat=True).first()
    return timezone.make_aware(done) if done and timezone.is_naive(done) else done


def records_results() -> bool:
    """Whether Celery's results are in the database."""
    return apps.is_installed("django_celery_results")


def _ended(
    points: Sequence[RecoveryPoint], last: Mapping[tuple[str, str], datetime]
) -> dict[str, Any]:
    """Return the last failures: of each kind, where no success of the kind and no proof is newer;
    and the scheduled runs that were cancelled since the last good backup. `last`: when a run of a
    kind last ended in a state."""
    proofs = [point.proven.proven_at if point.proven else None for point in points]
    proof = _oldest(proofs)
    good = _oldest([point.good.created_at if point.good else None for point in points])
    failed: dict[str, datetime] = {}
    for kind in KINDS:
        at = last.get((kind, Run.State.FAILED))
        cleared = [last.get((kind, Run.State.SUCCEEDED)), proof]
        if at and all(each is None or each < at for each in cleared):
            failed[kind] = at
    cancelled = last.get((Run.Kind.BACKUP, Run.State.CANCELLED))
    skipped = bool(cancelled and (good is None or cancelled > good))
    runs = Run.objects.filter(kind__in=KINDS).order_by("-finished_at").defer("report")
    ended = runs.filter(state=Run.State.FAILED, finished_at__in=failed.values()) if failed else ()
    since = Q() if good is None else Q(finished_at__gt=good)
    cancelled_runs = runs.filter(since, state=Run.State.CANCELLED, trigger="schedule")
    return {
        "ended": [_as_ended(run) for run in ended if failed.get(run.kind) == run.finished_at],
        "skipped": [_as_ended(run) for run in (cancelled_runs[:_LIMIT] if skipped else ())],
    }


def _oldest(found: Sequence[datetime | None]) -> datetime | None:
    """Return the oldest moment; None where one is missing."""
    there = [each for each in found if each is not None]
    return min(there) if there and len(there) == len(found) else None


def _as_ended(run: Run) -> Ended:
    error = run.error or {}
    what = str(error.get("what") or "it has no reason in the ledger")
    return Ended(run=run.pk, kind=run.kind, why=what, remedy=str(error.get("hint") or ""))


def _stuck() -> list[str]:
    """Return the active runs whose step was to be claimed or renewed long ago. While any step is at
    work, those that wait for a worker are not stuck."""
    current: dict[str, Step] = {}
    steps = Step.objects.filter(run__state__in=Run.ACTIVE).exclude(state=Step.State.SUCCEEDED)
    for step in steps.order_by("run_id", "position"):
        current.setdefault(step.run_id, step)
    if any(is_live(step) for step in current.values()):
        return []
    long_ago = moments.now() - max(timedelta(minutes=5), 5 * backup_settings().lease)
    return [
        run for run, step in current.items() if step.lease_until and step.lease_until < long_ago
    ]
