"""Result rows whose task will never end them are ended as the ledger says; others stay (C27)."""

import json
from datetime import timedelta

import pytest
from django.utils import timezone
from django_celery_results.models import TaskResult

from backup_tasks import ledger
from backup_tasks.errors import StorageUnavailable
from backup_tasks.models import Run
from backup_tasks.runs.lost_results import end_lost_results
from edms.celery import app
from tests.unit.runs.conftest import StartRun, by_another, claimed, let_the_lease_run_out


@pytest.fixture
def engine() -> str:
    """Nothing here depends on the database."""
    return "sqlite"


def row(run: Run | None, task_id: str, *, name: str = "snapshot", status: str = "STARTED") -> None:
    """A row as a worker leaves it that began an hour ago."""
    kwargs = {"run_id": run.pk, "step": name} if run else {"policy": "nightly"}
    TaskResult.objects.create(
        task_id=task_id,
        task_name=f"backup_tasks.{name}",
        task_kwargs=json.dumps(repr(kwargs)),
        status=status,
        date_started=timezone.now() - timedelta(hours=1),
    )


def status_of(task_id: str) -> str:
    return str(TaskResult.objects.get(task_id=task_id).status)


def test_a_task_at_work_or_between_two_tries_is_left_alone(start_run: StartRun) -> None:
    at_work, waiting = start_run(), start_run()
    claimed(at_work, task_id="at work")
    ledger.will_retry(claimed(waiting, task_id="waits"), StorageUnavailable("away"), delay=60)
    row(at_work, "at work")
    row(waiting, "waits", status="RETRY")

    assert end_lost_results(app) == []


def test_a_task_that_died_between_the_ledger_and_its_result_has_succeeded(
    start_run: StartRun,
) -> None:
    run = start_run()
    ledger.succeed(claimed(run, task_id="died"), {}, report={})
    row(run, "died")

    assert end_lost_results(app) == ["died"]
    assert status_of("died") == "SUCCESS"
    assert app.AsyncResult("died").get(timeout=1) == {"run_id": run.pk, "step": "snapshot"}


def test_a_task_whose_step_another_has_or_whose_run_has_ended_has_failed(
    start_run: StartRun,
) -> None:
    taken_over, cancelled = start_run(), start_run()
    by_another(taken_over)
    row(taken_over, "taken over")
    claimed(cancelled, task_id="cancelled")
    let_the_lease_run_out(cancelled)
    ledger.cancel(cancelled.pk)
    row(cancelled, "cancelled")
    row(None, "of beat", name="nightly")

    assert sorted(end_lost_results(app)) == ["cancelled", "of beat", "taken over"]
    assert {status_of(name) for name in ("cancelled", "of beat", "taken over")} == {"FAILURE"}
    assert end_lost_results(app) == []


def test_other_tasks_and_younger_rows_are_not_ours(start_run: StartRun) -> None:
    row(None, "theirs", name="nightly")
    TaskResult.objects.update(task_name="shop.newsletter")
    row(start_run(), "young")
    TaskResult.objects.filter(task_id="young").update(date_started=timezone.now())

    assert end_lost_results(app) == []
