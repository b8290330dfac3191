"""Chains as they run every night: each step a task of its own, each task a row."""

import json
import time
from typing import Any

import pytest
from django_celery_results.models import TaskResult
from pytest_celery import CeleryTestWorker

from backup_tasks import tasks
from backup_tasks.errors import Cancelled, DumpFailed
from backup_tasks.models import Run
from backup_tasks.runs import chains
from tests.integration.celery.stage import (
    Stage,
    outcomes,
    start_on_workers,
    states,
    until,
    until_ended,
    until_result,
)

BACKUP = ["snapshot", "dump", "pack", "verify", "fit", "prune"]


@pytest.mark.parametrize("engine", ["sqlite", "postgres"])
def test_every_step_is_a_task_of_its_own_and_leaves_a_row_in_ledger_and_results(
    worker: CeleryTestWorker, stage: Stage
) -> None:
    """C7, C12, C14"""
    run = until_ended(start_on_workers(label="by-night"))

    assert run.state == Run.State.SUCCEEDED
    assert stage.executions() == BACKUP
    assert run.package == "stand-in.tar"
    for step in run.steps.all():
        result = until_result(run, step.name, "SUCCESS")
        assert result.task_name == f"backup_tasks.{step.name}"
        assert run.pk in result.task_kwargs
        assert "by-night" not in result.task_kwargs, "messages carry ids only"
        assert json.loads(result.result) == {"run_id": run.pk, "step": step.name}
        assert json.loads(result.meta)["run_id"] == run.pk
    by_worker = TaskResult.objects.filter(worker__startswith="celery_test_worker@")
    assert by_worker.count() == TaskResult.objects.count() == len(BACKUP)
    assert not (stage.folder / run.pk).exists(), "a run that succeeded leaves no workspace"


def test_a_failing_step_is_a_failure_everywhere_and_the_later_ones_are_not_run(
    worker: CeleryTestWorker, stage: Stage
) -> None:
    """C8, F11"""
    stage.fail("dump", "DumpFailed")

    run = until_ended(start_on_workers())

    assert run.state == Run.State.FAILED
    assert (
        run.error == DumpFailed("as the test asked", obj="stand-in", hint="None needed.").record()
    )
    assert states(run) == ["succeeded", "failed", *["pending"] * 4]
    result = until_result(run, "dump", "FAILURE")
    assert "as the test asked" in result.result
    assert stage.executions() == ["snapshot", "dump"]


def test_a_failed_run_is_resumed_on_the_workers(worker: CeleryTestWorker, stage: Stage) -> None:
    stage.fail("dump", "DumpFailed")
    run = until_ended(start_on_workers())

    tasks.enqueue(chains.resume(run.pk, on_workers=True))

    assert until_ended(run).state == Run.State.SUCCEEDED
    assert stage.executions() == ["snapshot", "dump", *BACKUP[1:]]


def test_a_transient_error_is_retried_with_each_attempt_kept(
    worker: CeleryTestWorker, stage: Stage
) -> None:
    """C7"""
    stage.fail("dump", "StorageUnavailable", times=2)

    run = until_ended(start_on_workers())

    assert run.state == Run.State.SUCCEEDED
    assert outcomes(run, "dump") == ["retry", "retry", "succeeded"]
    assert stage.executions() == ["snapshot", "dump", "dump", *BACKUP[1:]]
    until_result(run, "dump", "SUCCESS")


def test_a_transient_error_that_stays_fails_the_run(worker: CeleryTestWorker, stage: Stage) -> None:
    stage.fail("dump", "StorageUnavailable", times=99)

    run = until_ended(start_on_workers())

    assert run.state == Run.State.FAILED
    assert outcomes(run, "dump") == ["retry", "retry", "retry", "failed"]
    until_result(run, "dump", "FAILURE")


def test_a_cancelled_run_stops_and_its_later_steps_never_begin(
    worker: CeleryTestWorker, stage: Stage
) -> None:
    """C10"""
    stage.hold("dump")
    run = start_on_workers()
    stage.until_begun("dump")

    chains.cancel(run.pk)

    result = until_result(run, "dump", "FAILURE")
    assert Cancelled.__name__ in result.result
    assert until_ended(run).state == Run.State.CANCELLED
    assert stage.executions() == ["snapshot", "dump"]
    assert stage.executions("end") == ["snapshot"]


@pytest.mark.parametrize("celery_settings", [{"task_time_limit": 2, "task_soft_time_limit": 1}])
def test_a_limit_that_a_project_has_for_all_tasks_is_not_a_step_s(
    worker: CeleryTestWorker, stage: Stage
) -> None:
    stage.hold("dump")
    run = start_on_workers()
    stage.until_begun("dump")
    begun = time.monotonic()
    until(lambda: time.monotonic() - begun > 4, "the limits are over")

    stage.release("dump")

    assert until_ended(run).state == Run.State.SUCCEEDED
    assert outcomes(run, "dump") == ["succeeded"]


def test_a_run_whose_message_comes_twice_is_executed_once(
    worker: CeleryTestWorker, stage: Stage
) -> None:
    stage.hold("dump")
    run = start_on_workers()
    stage.until_begun("dump")

    tasks.enqueue(run)

    worker.wait_for_log("a duplicate delivery")
    stage.release("dump")
    assert until_ended(run).state == Run.State.SUCCEEDED
    assert stage.executions() == BACKUP


def test_the_nightly_schedule_starts_one_backup_and_then_its_drill(
    worker: CeleryTestWorker, stage: Stage
) -> None:
    """C15"""
    schedule: Any = worker.app.conf.beat_schedule["nightly"]
    for _ in range(2):
        tasks.scheduled.apply_async(kwargs=schedule["kwargs"])

    until(lambda: Run.objects.filter(kind="drill").exists(), "the drill has started")
    drill = until_ended(Run.objects.get(kind="drill"))

    backup = Run.objects.get(kind="backup")
    assert (backup.state, backup.trigger) == (Run.State.SUCCEEDED, "schedule")
    assert (drill.state, drill.params["package"]) == (Run.State.SUCCEEDED, backup.package)
    assert stage.executions() == [*BACKUP, "fetch", "reinit", "load", "validate", "discard"]
