"""Workers, Redis and the database are killed under a running chain: the outcome is that of running
once."""

import os
import signal
from datetime import timedelta

import pytest
from celery.result import AsyncResult
from django.utils import timezone
from django_celery_results.models import TaskResult
from pytest_celery import CeleryTestSetup, CeleryTestWorker

from backup_tasks import tasks
from backup_tasks.errors import LeaseLost, Permanent
from backup_tasks.models import Run, Step
from tests.integration.celery.conftest import wait_for_answer
from tests.integration.celery.stage import (
    PATIENCE,
    Stage,
    kill_all_connections,
    outcomes,
    reconcile,
    start_on_workers,
    until,
    until_ended,
    until_result,
)
from tests.processes import has_ended

BACKUP = ["snapshot", "dump", "pack", "verify", "fit", "prune"]
AFTER_A_SECOND = {
    "visibility_timeout": 1,
    "unacked_restore_interval": 0.3,
    "unacked_restore_throttle": 1,
}


@pytest.mark.parametrize("transport", [AFTER_A_SECOND])
@pytest.mark.parametrize("lease", [10.0])
def test_a_step_longer_than_the_visibility_timeout_is_executed_once(
    worker: CeleryTestWorker, stage: Stage
) -> None:
    """C1: delivered again and again while it is at work."""
    stage.hold("dump")
    run = start_on_workers()
    until(lambda: worker.logs().count("a duplicate delivery") >= 3, "it was delivered again")

    stage.release("dump")

    assert until_ended(run).state == Run.State.SUCCEEDED
    assert stage.executions() == BACKUP
    assert [outcomes(run, step) for step in BACKUP] == [["succeeded"]] * len(BACKUP)


def test_a_step_whose_pool_process_is_killed_is_taken_over_at_once(
    worker: CeleryTestWorker, stage: Stage
) -> None:
    """C2: its lease, a minute, need not run out."""
    stage.hold("dump")
    run = start_on_workers()
    stage.until_begun("dump")

    os.kill(stage.process_of("dump"), signal.SIGKILL)

    stage.until_begun("dump", times=2)
    stage.release("dump")
    assert until_ended(run).state == Run.State.SUCCEEDED
    assert outcomes(run, "dump") == ["lost", "succeeded"]
    assert stage.executions() == ["snapshot", "dump", *BACKUP[1:]]
    assert stage.executions("end") == BACKUP


def test_a_step_that_kills_its_pool_process_every_time_fails_the_run(
    worker: CeleryTestWorker, stage: Stage
) -> None:
    """C2: requeued at once, but not without bound."""
    stage.hold("dump")
    run = start_on_workers()
    for times in range(1, 6):
        stage.until_begun("dump", times=times)
        os.kill(stage.process_of("dump"), signal.SIGKILL)

    run = until_ended(run)

    assert run.state == Run.State.FAILED
    assert run.error is not None
    assert "vanished 5 times" in run.error["what"]


def test_a_worker_that_is_killed_with_all_its_processes_loses_no_run(
    celery_setup: CeleryTestSetup, worker: CeleryTestWorker, stage: Stage
) -> None:
    """C3: the reconciler does not wait for Redis to deliver again, which takes a day."""
    stage.hold("dump")
    run = start_on_workers()
    stage.until_begun("dump")

    worker.kill()
    assert worker.container.status == "exited"
    worker.restart()
    wait_for_answer(celery_setup)
    stage.release("dump")
    reconcile()

    assert until_ended(run).state == Run.State.SUCCEEDED
    assert outcomes(run, "dump") == ["lost", "succeeded"]
    assert stage.executions() == ["snapshot", "dump", *BACKUP[1:]]


def test_whoever_waits_for_a_task_whose_worker_was_killed_is_told(
    celery_setup: CeleryTestSetup, worker: CeleryTestWorker, stage: Stage
) -> None:
    """C27"""
    stage.hold("dump")
    run = start_on_workers()
    stage.until_begun("dump")
    killed = until_result(run, "dump", "STARTED")
    worker.kill()
    worker.restart()
    wait_for_answer(celery_setup)
    stage.release("dump")
    reconcile()
    assert until_ended(run).state == Run.State.SUCCEEDED
    reconcile()
    killed.refresh_from_db()
    assert killed.status == "STARTED", "a moment ago it was at work"

    TaskResult.objects.update(date_started=timezone.now() - timedelta(hours=1))
    reconcile()

    with pytest.raises(LeaseLost, match="the step is succeeded"):
        AsyncResult(killed.task_id).get(timeout=PATIENCE)
    assert not TaskResult.objects.filter(status="STARTED").exists()
    assert until_result(run, "dump", "SUCCESS").task_id != killed.task_id


def test_a_step_that_is_refused_answers(worker: CeleryTestWorker, stage: Stage) -> None:
    """C27: a task that raises Ignore never does."""
    stage.fail("dump", "DumpFailed")
    run = until_ended(start_on_workers())

    late = tasks.dump.apply_async(kwargs={"run_id": run.pk, "step": "dump"})

    with pytest.raises(Permanent, match="the run has failed"):
        late.get(timeout=PATIENCE)


def test_a_task_that_lost_its_step_to_another_answers(
    worker: CeleryTestWorker, stage: Stage
) -> None:
    """C27"""
    stage.hold("dump")
    run = start_on_workers()
    stage.until_begun("dump")
    lost = until_result(run, "dump", "STARTED")
    Step.objects.filter(run=run, name="dump").update(attempt=2, task_id="of another")

    with pytest.raises(LeaseLost):
        AsyncResult(lost.task_id).get(timeout=PATIENCE)


def test_a_step_survives_the_end_of_its_worker_s_main_process(
    celery_setup: CeleryTestSetup, worker: CeleryTestWorker, stage: Stage
) -> None:
    """C3: what is left of its process group ends with the restart, and the step is taken over."""
    stage.hold("dump")
    run = start_on_workers()
    stage.until_begun("dump")
    at_work = stage.process_of("dump")

    os.kill(worker.container.main_process, signal.SIGKILL)
    worker.restart()  # ends what is left of the group
    wait_for_answer(celery_setup)
    until(lambda: has_ended(at_work), "the pool's process has ended with its group")
    stage.release("dump")
    reconcile()

    assert until_ended(run).state == Run.State.SUCCEEDED
    assert stage.executions("end") == BACKUP


def test_a_worker_that_is_asked_to_stop_ends_its_step_first(
    celery_setup: CeleryTestSetup, worker: CeleryTestWorker, stage: Stage
) -> None:
    stage.hold("dump")
    run = start_on_workers()
    stage.until_begun("dump")

    os.kill(worker.container.main_process, signal.SIGTERM)
    worker.wait_for_log("Warm shutdown")
    stage.release("dump")
    until(lambda: worker.container.status == "exited", "the worker has stopped")
    assert Step.objects.get(run=run, name="dump").state == Step.State.SUCCEEDED

    worker.restart()
    wait_for_answer(celery_setup)
    assert until_ended(run).state == Run.State.SUCCEEDED
    assert stage.executions() == BACKUP


def test_a_restart_of_redis_in_the_middle_of_a_chain_loses_nothing(
    celery_setup: CeleryTestSetup, worker: CeleryTestWorker, stage: Stage
) -> None:
    """C4: it appends every write to disk."""
    stage.hold("dump")
    run = start_on_workers()
    stage.until_begun("dump")

    celery_setup.broker.restart()
    stage.release("dump")

    assert until_ended(run).state == Run.State.SUCCEEDED
    assert stage.executions() == BACKUP


def test_a_chain_whose_message_vanished_is_enqueued_again(
    celery_setup: CeleryTestSetup, worker: CeleryTestWorker, stage: Stage
) -> None:
    """C4: as with a Redis that was restarted without its data, or that evicts keys."""
    worker.kill()
    run = start_on_workers()
    celery_setup.broker.container.client.flushall()
    worker.restart()
    wait_for_answer(celery_setup)
    reconcile()
    assert stage.executions() == [], "it is not overdue yet"

    Step.objects.filter(run=run).update(lease_until=timezone.now())
    reconcile()

    assert until_ended(run).state == Run.State.SUCCEEDED
    assert stage.executions() == BACKUP


def test_a_step_that_ends_while_redis_is_away_goes_on_when_it_is_back(
    celery_setup: CeleryTestSetup, worker: CeleryTestWorker, stage: Stage
) -> None:
    """C5: its successor is published for as long as it takes."""
    stage.hold("dump")
    run = start_on_workers()
    stage.until_begun("dump")
    celery_setup.broker.kill()

    stage.release("dump")
    dump = Step.objects.filter(run=run, name="dump")
    until(lambda: dump.get().state == Step.State.SUCCEEDED, "the ledger has the step's result")
    celery_setup.broker.restart()

    assert until_ended(run).state == Run.State.SUCCEEDED
    assert stage.executions() == BACKUP
    until_result(run, "dump", "SUCCESS")


@pytest.mark.parametrize("engine", ["postgres"])
def test_a_restart_of_the_database_while_a_step_works_is_survived_and_stored_truly(
    worker: CeleryTestWorker, stage: Stage
) -> None:
    """C6"""
    stage.hold("dump")
    run = start_on_workers()
    stage.until_begun("dump")

    kill_all_connections()
    stage.release("dump")

    assert until_ended(run).state == Run.State.SUCCEEDED
    for step in BACKUP:
        until_result(run, step, "SUCCESS")
