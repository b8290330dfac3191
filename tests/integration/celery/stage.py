"""What a test does with the workers: hold steps, let them fail, see what was executed, wait."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from celery import Celery
from celery.result import AsyncResult
from django.db import connection
from django_celery_results.models import TaskResult

from backup_tasks import tasks
from backup_tasks.models import Run, Step
from backup_tasks.runs import chains

PATIENCE = 60.0


class Stage:
    """Verbs and test talk through files in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def hold(self, step: str) -> None:
        """Let the step, once begun, not go on until it is released."""
        (self.folder / f"hold-{step}").touch()

    def release(self, step: str) -> None:
        (self.folder / f"hold-{step}").unlink()

    def fail(self, step: str, kind: str, *, times: int = 1) -> None:
        """Let the step raise that error so often."""
        (self.folder / f"fail-{step}").write_text(f"{kind} {times}")

    def executions(self, what: str = "begin") -> list[str]:
        """The steps that began (or ended), in order."""
        return [note["step"] for note in self._notes() if note["what"] == what]

    def process_of(self, step: str) -> int:
        """The process that began the step last."""
        return int(next(note["pid"] for note in reversed(self._notes()) if note["step"] == step))

    def _notes(self) -> list[dict[str, Any]]:
        path = self.folder / "executions"
        lines = path.read_text().splitlines() if path.exists() else []
        return [json.loads(line) for line in lines]

    def until_begun(self, step: str, *, times: int = 1) -> None:
        until(lambda: self.executions().count(step) >= times, f"{step} has begun {times} times")


def forget_connections(app: Celery) -> None:
    """Let the app, in this process, connect anew: the Redis it knows was an earlier test's."""
    app._after_fork()  # type: ignore[attr-defined]  # what Celery itself does for that


def start_on_workers(kind: str = "backup", **params: Any) -> Run:
    """Start a run and hand it to the workers."""
    run = chains.start(kind, trigger="command", on_workers=True, params=params)
    tasks.enqueue(run)
    return run


def until(condition: Callable[[], object], what: str, timeout: float = PATIENCE) -> None:
    """Return when the condition holds. The test fails when it does not in time."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, f"not within {timeout} s: {what}"
        time.sleep(0.05)


def until_ended(run: Run) -> Run:
    """Return the run as it is when it has ended."""

    def state() -> str:
        return Run.objects.values_list("state", flat=True).get(pk=run.pk)

    until(lambda: state() not in Run.ACTIVE, f"{run.pk} has ended")
    return Run.objects.get(pk=run.pk)


def until_result(run: Run, step: str, state: str) -> TaskResult:
    """Return the result row of the step's task when it has that state."""

    def row() -> TaskResult | None:
        task_id = Step.objects.get(run=run, name=step).task_id
        return TaskResult.objects.filter(task_id=task_id, status=state).first()

    until(row, f"the task of {step} is {state}")
    found = row()
    assert found is not None
    return found


def outcomes(run: Run, step: str) -> list[str]:
    """How the attempts at the step ended."""
    return [entry["outcome"] for entry in Step.objects.get(run=run, name=step).attempts]


def states(run: Run) -> list[str]:
    """The states of the run's steps, in order."""
    return list(run.steps.order_by("position").values_list("state", flat=True))


def reconcile() -> None:
    """What beat does every minute, and wait until a worker has done it."""
    result: AsyncResult[Any] = tasks.reconcile.apply_async()
    until(lambda: AsyncResult(result.id).ready(), "a worker has reconciled")
    assert AsyncResult(result.id).successful()


def kill_all_connections() -> None:
    """What a restart of PostgreSQL does to every process that works with it."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
