"""Starting, refusing, resuming and cancelling runs."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from django.db import connections

from backup_tasks import ledger
from backup_tasks.errors import AnotherRunActive, DumpFailed, Permanent
from backup_tasks.models import Run, Step
from tests.unit.runs.conftest import (
    StartRun,
    again,
    by_another,
    claimed,
    let_the_lease_run_out,
    step_of,
)


def test_a_run_starts_with_all_its_steps_pending(start_run: StartRun) -> None:
    run = start_run(params={"type": "full"}, requested_by="ada", trigger="admin")

    assert run.pk.startswith("backup-2")
    assert run.state == Run.State.PENDING
    steps = [(step.position, step.name, step.state) for step in run.steps.all()]
    assert steps == [
        (0, "snapshot", "pending"),
        (1, "dump", "pending"),
        (2, "pack", "pending"),
    ]
    assert again(run).params == {"type": "full"}


def test_a_second_run_that_writes_to_live_is_refused_with_all_about_the_first(
    start_run: StartRun,
) -> None:
    first = start_run(writes_live=True)
    by_another(first)

    with pytest.raises(AnotherRunActive) as refused:
        start_run(writes_live=True)

    assert refused.value.exit_code == 4
    assert first.pk in refused.value.what
    assert "running since" in refused.value.what
    assert "step snapshot" in refused.value.what
    assert f"cancel_run {first.pk}" in refused.value.hint
    assert Run.objects.count() == 1


def test_the_refusal_says_when_nobody_works_on_the_first_run(start_run: StartRun) -> None:
    first = start_run(writes_live=True)
    by_another(first)
    let_the_lease_run_out(first)

    with pytest.raises(AnotherRunActive) as refused:
        start_run(writes_live=True)

    assert "nobody works on" in refused.value.what
    assert f"resume_run {first.pk}" in refused.value.hint


def test_of_many_runs_that_would_write_to_live_one_starts(start_run: StartRun) -> None:
    at_once = Barrier(5)

    def attempt(_: int) -> str:
        at_once.wait()
        try:
            return start_run(writes_live=True).state
        except AnotherRunActive:
            return "refused"
        finally:
            connections.close_all()

    with ThreadPoolExecutor(5) as pool:
        answers = sorted(pool.map(attempt, range(5)))

    assert answers == ["pending"] + ["refused"] * 4


def test_backups_may_run_beside_a_restore(start_run: StartRun) -> None:
    start_run(writes_live=True)

    assert start_run().state == Run.State.PENDING
    assert start_run().state == Run.State.PENDING


def test_a_lock_that_a_cancelled_run_left_behind_does_not_stop_the_next(
    start_run: StartRun,
) -> None:
    first = start_run(writes_live=True)
    by_another(first)
    ledger.cancel(first.pk)
    let_the_lease_run_out(first)

    assert start_run(writes_live=True).live_lock is not None
    assert again(first).live_lock is None


def test_a_schedule_that_fires_twice_starts_once(start_run: StartRun) -> None:
    """C15"""
    asked: dict[str, Any] = {
        "params": {},
        "step_names": ["prune"],
        "trigger": "schedule",
        "slot": "nightly-1",
    }

    first, created = ledger.start("prune", **asked)
    second, created_again = ledger.start("prune", **asked)

    assert (created, created_again) == (True, False)
    assert second == first


def test_two_beats_at_the_same_moment_start_once(start_run: StartRun) -> None:
    """C15"""
    at_once = Barrier(4)

    def attempt(_: int) -> bool:
        at_once.wait()
        try:
            return ledger.start(
                "prune", params={}, step_names=["prune"], trigger="schedule", slot="nightly-2"
            )[1]
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(attempt, range(4))) == [False, False, False, True]


def test_a_failed_run_is_resumed_from_its_first_unfinished_step(start_run: StartRun) -> None:
    run = start_run()
    ledger.succeed(claimed(run), {"files": 5}, report={})
    ledger.fail(claimed(run, "dump"), DumpFailed("a row", obj="a.b"))

    run = ledger.resume(run.pk, on_workers=False, writes_live=True)

    assert (run.state, run.error, run.live_lock) == (Run.State.PENDING, None, "live")
    assert isinstance(ledger.claim(run.pk, "snapshot"), ledger.Finished)
    claim = claimed(run, "dump")
    assert claim.results == {"snapshot": {"files": 5}}
    assert claim.retries == 0
    outcomes = [entry["outcome"] for entry in step_of(run, "dump").attempts]
    assert outcomes == ["failed", "resumed"]


def test_a_run_that_somebody_works_on_is_not_resumed(start_run: StartRun) -> None:
    run = start_run()
    by_another(run)

    with pytest.raises(AnotherRunActive):
        ledger.resume(run.pk, on_workers=False, writes_live=False)


def test_an_abandoned_run_is_resumed_and_its_former_worker_is_fenced_off(
    start_run: StartRun,
) -> None:
    run = start_run()
    former = by_another(run)
    let_the_lease_run_out(run)

    ledger.resume(run.pk, on_workers=False, writes_live=False)

    with pytest.raises(Permanent, match="lost its lease"):
        ledger.succeed(former, {}, report={})
    assert step_of(run, "snapshot").state == Step.State.PENDING


def test_a_run_is_not_resumed_while_another_writes_to_live(start_run: StartRun) -> None:
    failed = start_run(writes_live=True)
    ledger.fail(claimed(failed), DumpFailed("a row"))
    other = start_run(writes_live=True)

    with pytest.raises(AnotherRunActive, match=other.pk):
        ledger.resume(failed.pk, on_workers=False, writes_live=True)

    assert again(failed).state == Run.State.FAILED


@pytest.mark.parametrize("how", ["succeeded", "cancelled"])
def test_there_is_nothing_to_resume_in_a_run_that_ended_for_good(
    start_run: StartRun, how: str
) -> None:
    run = start_run(step_names=["prune"])
    if how == "succeeded":
        ledger.succeed(claimed(run, "prune"), {}, report={})
    else:
        ledger.cancel(run.pk)

    with pytest.raises(Permanent, match=how):
        ledger.resume(run.pk, on_workers=False, writes_live=False)
    with pytest.raises(Permanent, match="ended already"):
        ledger.cancel(run.pk)


def test_an_unknown_run_is_named(start_run: StartRun) -> None:
    start_run()

    with pytest.raises(Permanent, match="no such run") as unknown:
        ledger.cancel("restore-never")
    assert unknown.value.obj == "restore-never"
