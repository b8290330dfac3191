"""Executes a run in the calling process: for commands, which need neither a worker nor a
broker."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from backup_tasks import ledger
from backup_tasks.errors import AnotherRunActive, BackupError, Cancelled, Transient
from backup_tasks.models import Run
from backup_tasks.runs import chains, execution
from backup_tasks.steps import Work


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


class _Nobody:
    """A watcher that tells nobody."""

    def started(self, step: str, number: int, of: int) -> None:
        """A step begins."""

    def progressed(self, done: int, total: int | None = None, note: str = "") -> None:
        """It goes on."""

    def retrying(self, error: BackupError, delay: float) -> None:
        """It is tried again."""

    def ended(self, result: Mapping[str, Any]) -> None:
        """It is finished."""


def run_here(
    run: Run, *, watcher: Watcher | None = None, wait: Callable[[float], None] = time.sleep
) -> Run:
    """Execute the run's unfinished steps; return the run, read anew.

    `watcher` is told how it goes on; None: nobody is. `wait` is called with the seconds until a
    step that met a transient error is due again, and returns when they are over.

    SIGINT and SIGTERM fail the run, which can then be resumed. Raises the error that the run failed
    with.
    """
    watcher = watcher or _Nobody()
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


def run_unrecorded(
    kind: str,
    params: Mapping[str, Any],
    *,
    folder: Path,
    watcher: Watcher,
    wait: Callable[[float], None] = time.sleep,
) -> dict[str, dict[str, Any]]:
    """Execute the steps of a run that the ledger can't record, in `folder`; return their results.

    It is for kinds that neither read nor write the database: `verify`. Raises the error that a step
    failed with.
    """
    results: dict[str, dict[str, Any]] = {}
    asked = {**chains.PARAMS[kind], **params}
    names = chains.steps_of(kind, asked)
    try:
        with _signals_interrupt():
            for number, name in enumerate(names, start=1):
                watcher.started(name, number, len(names))
                work = Work(
                    run_id="",
                    attempt=1,
                    kind=kind,
                    params=asked,
                    results=results,
                    hosts={},
                    workspace=folder,
                    progress=watcher.progressed,
                    still_mine=lambda: None,
                    holds=lambda: None,
                    reads=lambda *_: None,
                    recorded=False,
                )
                results[name] = _until_done(execution.verb_of(name), work, watcher, wait)
                watcher.ended(results[name])
    except KeyboardInterrupt:
        raise Cancelled("interrupted", obj=kind, hint="Start it again.") from None
    return results


def _until_done(
    verb: execution.Verb, work: Work, watcher: Watcher, wait: Callable[[float], None]
) -> dict[str, Any]:
    for failures in range(execution.RETRY.times):
        try:
            return verb(work)
        except Transient as error:
            delay = execution.RETRY.delay(failures)
            watcher.retrying(error, delay)
            wait(delay)
    return verb(work)


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
