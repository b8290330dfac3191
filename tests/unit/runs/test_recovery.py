"""Runs whose worker, process or message is gone are found (C1, C3, C4)."""

from backup_tasks import ledger
from backup_tasks.errors import StorageUnavailable
from backup_tasks.ledger import owner
from backup_tasks.models import Run, Step
from tests.services import Project
from tests.unit.runs.conftest import (
    StartRun,
    again,
    by_another,
    claimed,
    let_the_lease_run_out,
    step_of,
    steps_of,
)


def test_a_run_whose_worker_vanished_is_found_once(start_run: StartRun) -> None:
    run = start_run(on_workers=True)
    former = by_another(run)
    assert ledger.abandoned() == []
    let_the_lease_run_out(run)

    assert ledger.abandoned() == [run]
    assert ledger.abandoned() == [], "its message is on the way again"

    step = step_of(run, "snapshot")
    assert step.state == Step.State.PENDING
    assert [entry["outcome"] for entry in step.attempts] == ["lost"]
    assert former.step.attempt == step.attempt
    assert claimed(run).step.attempt == 2


def test_a_run_whose_message_was_lost_is_found(start_run: StartRun) -> None:
    run = start_run(on_workers=True)
    assert ledger.abandoned() == []
    let_the_lease_run_out(run)

    assert ledger.abandoned() == [run]


def test_a_run_that_waits_for_its_turn_is_left_alone(start_run: StartRun) -> None:
    at_work, waiting = start_run(on_workers=True), start_run(on_workers=True)
    let_the_lease_run_out(waiting)
    by_another(at_work)

    assert ledger.abandoned() == []


def test_a_step_that_waits_for_its_retry_is_left_alone(start_run: StartRun) -> None:
    run = start_run(on_workers=True)
    ledger.will_retry(claimed(run), StorageUnavailable("no answer"), delay=3600)

    assert ledger.abandoned() == []


def test_a_command_that_died_leaves_a_failed_run_that_can_be_resumed(start_run: StartRun) -> None:
    run = start_run(writes_live=True)
    by_another(run)
    assert ledger.fail_dead_commands() == []
    let_the_lease_run_out(run)

    assert ledger.fail_dead_commands() == [run]

    run = again(run)
    assert (run.state, run.live_lock) == (Run.State.FAILED, None)
    assert run.error is not None
    assert "died at step snapshot" in run.error["what"]
    assert f"resume_run {run.pk}" in run.error["hint"]


def test_a_lock_on_live_that_nobody_needs_is_freed(start_run: StartRun) -> None:
    run = start_run(writes_live=True)
    by_another(run)
    ledger.cancel(run.pk)
    ledger.release_live_locks()
    assert again(run).live_lock is not None
    let_the_lease_run_out(run)

    ledger.release_live_locks()

    assert again(run).live_lock is None


def test_a_process_that_ended_on_this_host_is_known_to_be_gone(
    on_project: Project, start_run: StartRun
) -> None:
    code = "from backup_tasks.ledger import owner; print(owner.this_process())"
    ended = on_project.succeed("shell", "--no-imports", "-c", code).stdout.strip()
    run = start_run()
    claimed(run)

    assert not owner.is_gone(owner.this_process())
    assert owner.is_gone(ended)
    steps_of(run).filter(name="snapshot").update(owner=ended)
    assert claimed(run).step.attempt == 2, "its lease need not run out first"


def test_nothing_is_known_of_a_process_elsewhere_or_of_one_with_a_reused_number() -> None:
    schema, _, start = owner.this_process().rpartition(":")

    assert not owner.is_gone("another-host:4026531836:1:1")
    assert not owner.is_gone("")
    assert owner.is_gone(f"{schema}:{int(start) - 1}"), "same number, another process"
