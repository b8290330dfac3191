"""A whole run in the calling process: progress, retries, failures, signals, resumption."""

import os
import signal
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from backup_tasks.errors import (
    BackupError,
    Cancelled,
    DumpFailed,
    Permanent,
    StorageUnavailable,
)
from backup_tasks.models import Run
from backup_tasks.runs import chains, execution
from backup_tasks.runs.foreground import run_here
from backup_tasks.steps import Work
from backup_tasks.storage import workspace
from tests.unit.runs.conftest import StartRun, Verbs, again, failing, step_of


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


def test_a_failed_run_says_so_to_whoever_comes_next(start_run: StartRun, verbs: Verbs) -> None:
    run = start_run()
    verbs(snapshot=failing(DumpFailed("broken"), times=1))
    execution.execute_step(run.pk, "snapshot")

    with pytest.raises(Permanent, match="the run has failed"):
        run_here(run, watcher=Notes())
