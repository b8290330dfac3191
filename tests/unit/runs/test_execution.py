"""One step, and a whole run in the calling process: retries, failures, signals, resumption."""

import os
import signal
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError, connection

from backup_tasks import chains, execution, ledger, workspace
from backup_tasks.errors import (
    BackupError,
    Cancelled,
    DatabaseUnavailable,
    DumpFailed,
    Permanent,
    StorageUnavailable,
)
from backup_tasks.foreground import run_here
from backup_tasks.models import Run
from backup_tasks.steps import Work
from tests.unit.runs.conftest import StartRun, again, by_another, let_the_lease_run_out, step_of

Verbs = Callable[..., list[str]]


@pytest.fixture
def engine() -> str:
    """Few of these tests depend on the database; they name it."""
    return "sqlite"


class Notes:
    """A watcher that notes what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def started(self, step: str, number: int, of: int) -> None:
        self.told.append(f"{number}/{of} {step}")

    def progressed(self, done: int, total: int | None = None, note: str = "") -> None:
        self.told.append(f"{done}/{total} {note}")

    def retrying(self, error: BackupError, delay: float) -> None:
        self.told.append(f"again: {error.what}")

    def ended(self, result: Mapping[str, Any]) -> None:
        self.told.append(f"ended {dict(result)}")


def failing(error: Exception, *, times: int) -> Callable[[Work], dict[str, Any]]:
    """A verb that fails so often, then works."""
    left = [times]

    def verb(work: Work) -> dict[str, Any]:
        left[0] -= 1
        if left[0] >= 0:
            raise error
        return {"tries": times + 1}

    return verb


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


def test_a_whole_run_in_this_process_tells_how_it_goes_on_and_tidies_up(
    start_run: StartRun, verbs: Verbs
) -> None:
    run, notes = start_run(), Notes()

    def dump(work: Work) -> dict[str, Any]:
        (work.workspace / "rows").write_text("…")
        work.progress(1, 2, "documents")
        return {"counts": {"a.b": 5}}

    executed = verbs(dump=dump)

    run = run_here(run, watcher=notes)

    assert executed == ["snapshot", "dump", "pack"]
    assert run.state == Run.State.SUCCEEDED
    assert run.report["models"]["a.b"]["before"] == 5
    assert notes.told[2:5] == ["2/3 dump", "1/2 documents", "ended {'counts': {'a.b': 5}}"]
    assert not workspace.path_of(run.pk).exists()


def test_a_transient_error_is_tried_again(
    start_run: StartRun, verbs: Verbs, no_waiting: None
) -> None:
    run, notes = start_run(), Notes()
    verbs(dump=failing(StorageUnavailable("no answer"), times=2))

    run = run_here(run, watcher=notes, wait=lambda seconds: None)

    assert run.state == Run.State.SUCCEEDED
    assert notes.told.count("again: no answer") == 2
    outcomes = [entry["outcome"] for entry in step_of(run, "dump").attempts]
    assert outcomes == ["retry", "retry", "succeeded"]


def test_every_attempt_has_a_greater_number_than_those_before(
    start_run: StartRun, verbs: Verbs, no_waiting: None
) -> None:
    """What a step leaves outside the ledger is fenced with it, after a resumption too."""
    run, numbers = start_run(), list[int]()
    errors = [StorageUnavailable("no answer"), Permanent("refused", obj="x")]

    def dump(work: Work) -> dict[str, Any]:
        numbers.append(work.attempt)
        if errors:
            raise errors.pop(0)
        return {}

    verbs(dump=dump)

    with pytest.raises(Permanent, match="refused"):
        run_here(run, watcher=Notes(), wait=lambda seconds: None)
    run = chains.resume(run.pk, on_workers=False)
    assert run_here(run, watcher=Notes(), wait=lambda seconds: None).state == Run.State.SUCCEEDED
    assert numbers == [1, 2, 3]


def test_a_transient_error_that_stays_fails_the_run(
    start_run: StartRun, verbs: Verbs, no_waiting: None
) -> None:
    run = start_run()
    executed = verbs(dump=failing(StorageUnavailable("no answer"), times=99))

    with pytest.raises(StorageUnavailable):
        run_here(run, watcher=Notes(), wait=lambda seconds: None)

    assert executed.count("dump") == 1 + 3
    assert again(run).state == Run.State.FAILED


def test_a_permanent_error_fails_the_run_at_once_and_keeps_the_workspace(
    start_run: StartRun, verbs: Verbs
) -> None:
    run = start_run()
    executed = verbs(
        snapshot=lambda work: {"counts": {"a.b": 5}},
        dump=failing(DumpFailed("NaN is no number", obj="a.b 7"), times=1),
    )

    with pytest.raises(DumpFailed):
        run_here(run, watcher=Notes())

    assert executed == ["snapshot", "dump"]
    assert again(run).state == Run.State.FAILED
    assert again(run).report["models"]["a.b"]["before"] == 5
    assert workspace.path_of(run.pk).is_dir()

    run = run_here(chains.resume(run.pk, on_workers=False), watcher=Notes())
    assert run.state == Run.State.SUCCEEDED
    assert executed == ["snapshot", "dump", "dump", "pack"]


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
    assert "test_execution.py" in error["traceback"]
    assert isinstance(execution.execute_step(run.pk, "snapshot"), ledger.Refused)


@pytest.mark.parametrize("engine", ["sqlite", "postgres"])
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


@pytest.fixture
def interruptible() -> Iterator[None]:
    """A shell's background jobs, as this suite may be one, have been told to ignore Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_fails_the_run_which_can_be_resumed(
    start_run: StartRun, verbs: Verbs, number: signal.Signals, interruptible: None
) -> None:
    run = start_run(writes_live=True)
    interrupt = [True]

    def interrupted(work: Work) -> dict[str, Any]:
        if interrupt.pop() if interrupt else False:
            os.kill(os.getpid(), number)
        return {}

    executed = verbs(dump=interrupted)
    before = signal.getsignal(signal.SIGTERM)

    with pytest.raises(Cancelled, match=f"resume_run {run.pk}"):
        run_here(run, watcher=Notes())

    assert signal.getsignal(signal.SIGTERM) == before
    assert again(run).state == Run.State.FAILED
    assert again(run).live_lock is None
    run = run_here(chains.resume(run.pk, on_workers=False), watcher=Notes())
    assert run.state == Run.State.SUCCEEDED
    assert executed == ["snapshot", "dump", "dump", "pack"]


def test_a_signal_while_waiting_for_a_retry_fails_the_run(
    start_run: StartRun, verbs: Verbs, no_waiting: None
) -> None:
    run = start_run()
    verbs(snapshot=failing(StorageUnavailable("no answer"), times=9))

    def wait(seconds: float) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(Cancelled):
        run_here(run, watcher=Notes(), wait=wait)

    assert again(run).state == Run.State.FAILED


@pytest.mark.parametrize("engine", ["sqlite", "postgres"])
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


def test_a_workspace_is_made_below_folders_that_do_not_exist_yet(
    start_run: StartRun, settings: Any, tmp_path: Path
) -> None:
    settings.BACKUP = {**settings.BACKUP, "WORKSPACE": str(tmp_path / "a" / "b")}

    assert workspace.make("backup-1") == tmp_path / "a" / "b" / "backup-1"
    workspace.remove("backup-1")
    workspace.remove("backup-1")
    assert not (tmp_path / "a" / "b" / "backup-1").exists()


def test_a_failed_run_says_so_to_whoever_comes_next(start_run: StartRun, verbs: Verbs) -> None:
    run = start_run()
    verbs(snapshot=failing(DumpFailed("broken"), times=1))
    execution.execute_step(run.pk, "snapshot")

    with pytest.raises(Permanent, match="the run has failed"):
        run_here(run, watcher=Notes())
