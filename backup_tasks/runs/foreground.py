"""Executes a run in the calling process: for commands, and for the day the broker is gone."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

from backup_tasks import ledger
from backup_tasks.errors import AnotherRunActive, BackupError, Transient
from backup_tasks.models import Run
from backup_tasks.runs import execution


class Watcher(Protocol):
    """Is told how a run goes on. Called from the thread that executes it."""

    def started(self, step: str, number: int, of: int) -> None:
        """A step begins; it is the `number`th, counted from 1, of so many."""

    def progressed(self, done: int, total: int | None = None, note: str = "") -> None:
        """The step reports progress."""

    def retrying(self, error: BackupError, delay: float) -> None:
        """The step met a transient error and is tried again in `delay` seconds."""

    def ended(self, result: Mapping[str, Any]) -> None:
        """The step is finished."""


def run_here(run: Run, *, watcher: Watcher, wait: Callable[[float], None] = time.sleep) -> Run:
    """Execute the run's unfinished steps; return the run, read anew.

    SIGINT and SIGTERM fail the run, which can then be resumed. Raises the error that the run failed
    with.
    """
    unfinished = list(run.steps.exclude(state="succeeded").order_by("position"))
    try:
        with _signals_interrupt():
            for step in unfinished:
                watcher.started(step.name, step.position + 1, run.steps.count())
                watcher.ended(_until_finished(run.pk, step.name, watcher, wait))
    except KeyboardInterrupt:
        error = execution.interrupted(run.pk)
        ledger.fail_run(run.pk, error)
        raise error from None
    return ledger.find(run.pk)


def _until_finished(
    run_id: str, step: str, watcher: Watcher, wait: Callable[[float], None]
) -> Mapping[str, Any]:
    failures = 0
    while True:
        try:
            outcome = execution.execute_step(run_id, step, listener=watcher.progressed)
        except (
            Transient
        ) as unavailable:  # the ledger does not answer, so it can't count failures either
            failures += 1
            if failures > execution.RETRY.times:
                raise
            outcome = execution.TryAgain(error=unavailable, delay=execution.RETRY.delay(failures))
        match outcome:
            case execution.Succeeded(result=result) | ledger.Finished(result=result):
                return result
            case execution.TryAgain(error=error, delay=delay):
                watcher.retrying(error, delay)
                wait(delay)
            case ledger.Busy(owner=owner, until=until):
                raise AnotherRunActive(
                    f"step {step} is held by {owner} until {until:%H:%M:%S} UTC at least",
                    obj=run_id,
                    hint="`runs --watch` shows how it goes on.",
                )
            case execution.Failed() | execution.Lost() | ledger.Refused():
                raise outcome.error


@contextmanager
def _signals_interrupt() -> Iterator[None]:
    """Let SIGTERM raise KeyboardInterrupt as SIGINT does; only the main thread gets signals."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    former = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, former)
