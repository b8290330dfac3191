"""Ends the result rows of tasks that will never write how they ended (C27).

A worker that is killed leaves its task's result STARTED, and a client that waits for the result
waits for ever. The ledger's rows say which task has the step, and how it ended.
"""

from __future__ import annotations

import re
from typing import Any

from celery import Celery, states
from django.utils import timezone
from django_celery_results.backends import DatabaseBackend
from django_celery_results.models import TaskResult

from backup_tasks.conf import backup_settings
from backup_tasks.errors import LeaseLost
from backup_tasks.models import Run, Step

_RUN_ID = re.compile(r"'run_id': '([^']+)'")
_OPEN = (states.STARTED, states.RETRY)
_GRACE_IN_LEASES = 5
"""A second delivery of a step at work asks again when the lease may have expired, and is STARTED
until then."""


def end_lost_results(app: Celery) -> list[str]:
    """End the rows of steps' tasks that no worker works on, as the ledger says they ended; return
    the ids of the tasks. Rows that are a few leases young are left to their workers.

    Nothing is done where results are not kept in Django's database.
    """
    backend = app.backend
    if not isinstance(backend, DatabaseBackend):
        return []
    old = timezone.now() - backup_settings().lease * _GRACE_IN_LEASES
    rows = TaskResult.objects.filter(
        status__in=_OPEN, task_name__startswith="backup_tasks.", date_started__lt=old
    )
    return [
        row.task_id
        for row in rows.only("pk", "task_id", "task_name", "task_kwargs", "status")
        if (end := _ending(row)) is not None and _end(backend, row, *end)
    ]


def _ending(row: TaskResult) -> tuple[str, Any] | None:
    """Return state and result that the row should have, None where its task may still write it."""
    run_id = _RUN_ID.search(row.task_kwargs or "")
    if run_id is None:  # one of beat's: they take seconds
        return states.FAILURE, LeaseLost("the task did not say how it ended", obj=row.task_name)
    name = row.task_name.removeprefix("backup_tasks.")
    step = Step.objects.filter(run=run_id[1], name=name).select_related("run").first()
    if step is None:
        return states.FAILURE, LeaseLost("the run is gone from the ledger", obj=run_id[1])
    if step.task_id == row.task_id:
        if step.state == Step.State.SUCCEEDED:
            return states.SUCCESS, {"run_id": step.run_id, "step": name}
        if step.run.state in Run.ACTIVE:
            return None  # it is at work, or waits for its retry
    return states.FAILURE, LeaseLost(
        f"the task did not say how it ended; the step is {step.state}, the run {step.run.state}",
        obj=str(step),
        hint="Its worker was killed, or cut off. The ledger knows how the run goes on.",
    )


def _end(backend: Any, row: TaskResult, status: str, result: Any) -> bool:
    """Write the row's end, unless its task has written it since."""
    if isinstance(result, Exception):
        result = backend.prepare_exception(result)
    kind, encoding, content = backend.encode_content(result)
    return bool(
        TaskResult.objects.filter(pk=row.pk, status=row.status).update(
            status=status,
            result=content,
            content_type=kind,
            content_encoding=encoding,
            date_done=timezone.now(),
        )
    )
