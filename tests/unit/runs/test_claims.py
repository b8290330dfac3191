"""A step is worked on by one process at a time, and only its holder can write (F12, C1)."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from django.db import connection, connections, transaction

from backup_tasks import ledger
from backup_tasks.errors import Cancelled, LeaseLost, StorageUnavailable
from backup_tasks.models import Run, Step
from tests.unit.runs.conftest import (
    StartRun,
    again,
    by_another,
    claimed,
    let_the_lease_run_out,
    step_of,
)


def test_of_many_that_claim_at_once_one_gets_the_step(start_run: StartRun) -> None:
    run, at_once = start_run(), Barrier(6)

    def attempt(number: int) -> object:
        at_once.wait()
        try:
            return ledger.claim(run.pk, "snapshot", task_id=str(number))
        finally:
            connections.close_all()

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(attempt, range(6)))

    assert sorted(type(answer).__name__ for answer in answers) == ["Busy"] * 5 + ["Claim"]
    assert step_of(run, "snapshot").attempt == 1
    assert again(run).state == Run.State.RUNNING


def test_a_second_delivery_of_a_step_at_work_is_told_until_when(start_run: StartRun) -> None:
    run = start_run()
    by_another(run)

    answer = ledger.claim(run.pk, "snapshot")

    assert isinstance(answer, ledger.Busy)
    assert answer.until == step_of(run, "snapshot").lease_until


def test_a_second_delivery_of_a_finished_step_gets_its_result(start_run: StartRun) -> None:
    run = start_run()
    ledger.succeed(claimed(run), {"files": 5}, report={})

    assert ledger.claim(run.pk, "snapshot") == ledger.Finished(result={"files": 5})
    assert step_of(run, "snapshot").attempt == 1


def test_a_step_is_refused_while_the_one_before_it_is_unfinished(start_run: StartRun) -> None:
    run = start_run()

    answer = ledger.claim(run.pk, "pack")

    assert isinstance(answer, ledger.Refused)
    assert "snapshot, is not finished" in str(answer.error)


def test_a_step_of_no_run_is_refused(start_run: StartRun) -> None:
    start_run()

    assert isinstance(ledger.claim("backup-never", "snapshot"), ledger.Refused)


def test_a_step_whose_lease_ran_out_is_taken_over_and_its_first_holder_can_not_write(
    start_run: StartRun,
) -> None:
    run = start_run()
    first = by_another(run)
    let_the_lease_run_out(run)

    second = claimed(run)

    with pytest.raises(LeaseLost):
        first.still_mine()
    with pytest.raises(LeaseLost):
        ledger.succeed(first, {"files": 1}, report={})
    with pytest.raises(LeaseLost):
        ledger.fail(first, StorageUnavailable("late"))
    with pytest.raises(LeaseLost):
        ledger.will_retry(first, StorageUnavailable("late"), delay=1)
    ledger.succeed(second, {"files": 2}, report={})
    step = step_of(run, "snapshot")
    assert step.result == {"files": 2}
    assert [entry["outcome"] for entry in step.attempts] == ["lost", "succeeded"]
    assert again(run).state == Run.State.RUNNING


def test_a_holder_that_was_only_slow_keeps_its_step(start_run: StartRun) -> None:
    run = start_run()
    slow = by_another(run)
    let_the_lease_run_out(run)

    ledger.succeed(slow, {"files": 1}, report={})

    assert step_of(run, "snapshot").state == Step.State.SUCCEEDED


def test_what_a_transaction_commits_after_still_mine_was_committed_by_the_holder(
    start_run: StartRun,
) -> None:
    run = start_run()
    holder = by_another(run)
    let_the_lease_run_out(run)

    def take_over() -> object:
        try:
            return ledger.claim(run.pk, "snapshot")
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            holder.still_mine()
            other = pool.submit(take_over)
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1")  # the holder still works inside its transaction
            assert not other.done() or isinstance(other.result(), ledger.Busy)
        answer = other.result(timeout=30)

    assert isinstance(answer, ledger.Busy)
    assert step_of(run, "snapshot").attempt == 1


def test_heartbeats_keep_the_lease_and_write_the_progress(
    start_run: StartRun, short_lease: None
) -> None:
    run = start_run()
    with claimed(run) as claim:
        claim.progress(3, 10, "documents")
        before = step_of(run, "snapshot").lease_until
        while not (step := step_of(run, "snapshot")).progress:
            pass
        assert before is not None
        assert step.lease_until is not None
        assert step.lease_until > before
        assert step.progress == {"done": 3, "total": 10, "note": "documents"}
        assert isinstance(ledger.claim(run.pk, "snapshot"), ledger.Busy)


def test_a_cancelled_run_stops_its_step_and_frees_live_when_it_has(start_run: StartRun) -> None:
    run = start_run(writes_live=True)
    claim = claimed(run)

    ledger.cancel(run.pk)

    assert again(run).live_lock is not None, "the step may be writing at this moment"
    with pytest.raises(Cancelled):
        claim.still_mine()
    ledger.fail(claim, Cancelled("the run was cancelled"))
    assert again(run).state == Run.State.CANCELLED
    assert again(run).live_lock is None
    assert isinstance(ledger.claim(run.pk, "snapshot"), ledger.Refused)


def test_a_cancellation_between_two_steps_frees_live_at_once(start_run: StartRun) -> None:
    run = start_run(writes_live=True)
    ledger.succeed(claimed(run), {}, report={})

    ledger.cancel(run.pk)

    assert again(run).live_lock is None
    refused = ledger.claim(run.pk, "dump")
    assert isinstance(refused, ledger.Refused)
    assert isinstance(refused.error, Cancelled)


def test_a_cancellation_after_the_last_step_did_its_work_is_too_late(start_run: StartRun) -> None:
    run = start_run(step_names=["promote"], writes_live=True)
    claim = claimed(run, "promote")
    ledger.cancel(run.pk)

    ledger.succeed(claim, {"promoted": True}, report={"promoted": True})

    assert again(run).state == Run.State.SUCCEEDED
    assert again(run).report == {"promoted": True}
    assert again(run).error is None


def test_the_last_step_ends_the_run(start_run: StartRun) -> None:
    run = start_run(writes_live=True)
    ended = [
        ledger.succeed(claimed(run, step), {}, report={"n": number}, package="p.tar.zst")
        for number, step in enumerate(("snapshot", "dump", "pack"))
    ]

    assert ended == [False, False, True]
    run = again(run)
    assert run.state == Run.State.SUCCEEDED
    assert run.live_lock is None
    assert run.report == {"n": 2}
    assert run.package == "p.tar.zst"
    assert run.finished_at is not None


def test_a_failed_step_fails_the_run_with_its_cause_and_leaves_the_later_ones_not_run(
    start_run: StartRun,
) -> None:
    run = start_run(writes_live=True)
    cause = StorageUnavailable("no answer", obj="s3://b", hint="Look at the endpoint.")

    ledger.fail(claimed(run), cause, traceback="Traceback …")

    run, step = again(run), step_of(run, "snapshot")
    assert (run.state, run.error, run.live_lock) == (Run.State.FAILED, cause.record(), None)
    assert step.error == {**cause.record(), "traceback": "Traceback …"}
    assert step_of(run, "dump").state == Step.State.PENDING
    assert isinstance(ledger.claim(run.pk, "snapshot"), ledger.Refused)


def test_a_step_that_loses_its_worker_again_and_again_fails_the_run(start_run: StartRun) -> None:
    run = start_run()
    for _ in range(ledger.claims.LOST_LIMIT):
        by_another(run)
        let_the_lease_run_out(run)

    answer = ledger.claim(run.pk, "snapshot")

    assert isinstance(answer, ledger.Refused)
    error = again(run).error
    assert error is not None
    assert "vanished 5 times" in error["what"]
    assert "memory" in error["hint"]
