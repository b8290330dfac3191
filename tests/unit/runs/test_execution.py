"""One step: its claim, its result, what it may fail with."""

from typing import Any

import pytest
from django.db import OperationalError, connection

from backup_tasks import ledger
from backup_tasks.errors import Cancelled, DatabaseUnavailable
from backup_tasks.models import Run
from backup_tasks.runs import chains, execution
from backup_tasks.steps import Work
from backup_tasks.storage import workspace
from tests.unit.runs.conftest import (
    StartRun,
    Verbs,
    again,
    by_another,
    failing,
    let_the_lease_run_out,
    step_of,
)


@pytest.fixture
def engine() -> str:
    """Few of these tests depend on the database; they name it."""
    return "sqlite"


def test_a_step_is_given_what_it_needs_and_its_result_is_kept(
    start_run: StartRun, verbs: Verbs
) -> None:
    run, seen = start_run(params={"type": "files"}), []

    def dump(work: Work) -> dict[str, Any]:
        seen.append(work)
        return {}

    verbs(snapshot=lambda work: {"files": 5}, dump=dump)

    outcomes = [execution.execute_step(run.pk, step) for step in ("snapshot", "dump")]

    assert outcomes[0] == execution.Succeeded(result={"files": 5}, run_finished=False)
    work: Work = seen[0]
    assert (work.run_id, work.kind, work.params) == (run.pk, "backup", {"type": "files"})
    assert work.results == {"snapshot": {"files": 5}}
    assert work.workspace.is_dir()
    assert work.workspace.stat().st_mode & 0o777 == 0o700


def test_a_step_that_is_delivered_twice_is_executed_once(start_run: StartRun, verbs: Verbs) -> None:
    run, executed = start_run(), verbs(snapshot=lambda work: {"files": 5})

    first = execution.execute_step(run.pk, "snapshot")
    second = execution.execute_step(run.pk, "snapshot")

    assert isinstance(first, execution.Succeeded)
    assert second == ledger.Finished(result={"files": 5})
    assert executed == ["snapshot"]


def test_an_error_that_nobody_foresaw_fails_the_run_with_its_traceback(
    start_run: StartRun, verbs: Verbs
) -> None:
    """F11: a failure is never returned as if it were a result."""
    run = start_run()
    verbs(snapshot=failing(ZeroDivisionError("division by zero"), times=1))

    outcome = execution.execute_step(run.pk, "snapshot")

    assert isinstance(outcome, execution.Failed)
    assert outcome.error.what == "ZeroDivisionError: division by zero"
    error = step_of(run, "snapshot").error
    assert error is not None
    assert "conftest.py" in error["traceback"]
    assert isinstance(execution.execute_step(run.pk, "snapshot"), ledger.Refused)


def test_a_worker_that_was_taken_over_writes_nothing(start_run: StartRun, verbs: Verbs) -> None:
    run = start_run()

    def slow(work: Work) -> dict[str, Any]:
        let_the_lease_run_out(run)
        by_another(run)
        return {"by": "the first"}

    verbs(snapshot=slow)

    outcome = execution.execute_step(run.pk, "snapshot")

    assert isinstance(outcome, execution.Lost)
    assert step_of(run, "snapshot").result == {}
    assert step_of(run, "snapshot").attempt == 2


def test_a_step_that_asks_stops_when_its_run_is_cancelled(
    start_run: StartRun, verbs: Verbs
) -> None:
    run = start_run(writes_live=True)

    def asks(work: Work) -> dict[str, Any]:
        chains.cancel(run.pk)
        assert work.workspace.is_dir(), "a step at work keeps its workspace"
        work.still_mine()
        return {}

    verbs(snapshot=asks)

    outcome = execution.execute_step(run.pk, "snapshot")

    assert isinstance(outcome, execution.Failed)
    assert isinstance(outcome.error, Cancelled)
    assert again(run).state == Run.State.CANCELLED
    assert again(run).live_lock is None
    assert not workspace.path_of(run.pk).exists()


def test_a_step_writes_its_result_on_a_new_connection_when_the_old_one_was_cut(
    start_run: StartRun, verbs: Verbs
) -> None:
    """C6"""
    run = start_run()

    def cut(work: Work) -> dict[str, Any]:
        if connection.vendor == "postgresql":
            connection.ensure_connection()
            with connection.cursor() as cursor, pytest.raises(OperationalError):
                cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")
        else:
            connection.close()
        return {"files": 5}

    verbs(snapshot=cut)

    outcome = execution.execute_step(run.pk, "snapshot")

    assert outcome == execution.Succeeded(result={"files": 5}, run_finished=False)


def test_a_database_error_of_a_step_is_a_transient_one(
    start_run: StartRun, verbs: Verbs, no_waiting: None
) -> None:
    run = start_run()
    verbs(snapshot=failing(OperationalError("server closed the connection"), times=1))

    outcome = execution.execute_step(run.pk, "snapshot")

    assert isinstance(outcome, execution.TryAgain)
    assert isinstance(outcome.error, DatabaseUnavailable)


def test_waiting_grows_and_two_steps_that_failed_together_come_back_apart() -> None:
    retry = execution.Retry(first=4, most=60)

    waits = {retry.delay(0) for _ in range(50)}

    assert len(waits) > 1
    assert all(2 <= wait <= 4 for wait in waits)
    assert all(8 <= retry.delay(2) <= 16 for _ in range(50))
    assert all(30 <= retry.delay(20) <= 60 for _ in range(50))


def test_every_step_of_every_chain_has_its_verb() -> None:
    for step in {step for steps in chains.CHAINS.values() for step in steps}:
        verb = execution.verb_of(step)
        assert verb.__name__ == step
        assert verb.__module__ == f"backup_tasks.steps.{step}"
