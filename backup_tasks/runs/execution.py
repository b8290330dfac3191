"""Executes one step of a run, on a worker or in a command's own process."""

from __future__ import annotations

import logging
import random
import socket
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, cast

from django.db import DatabaseError, InterfaceError, connections
from django.utils.module_loading import import_string

from backup_tasks import cleanup, ledger
from backup_tasks.backup import storage_ids
from backup_tasks.conf import backup_settings
from backup_tasks.error_classification import explain
from backup_tasks.errors import BackupError, Cancelled, HandoverChanged, LeaseLost, Transient
from backup_tasks.ledger import report
from backup_tasks.models import Run
from backup_tasks.progress import Progress
from backup_tasks.restore import after_commit
from backup_tasks.steps import Work
from backup_tasks.storage import workspace

logger = logging.getLogger(__name__)

Verb = Callable[[Work], dict[str, Any]]
T = TypeVar("T")

VERBS: dict[str, Verb] = {}
"""Functions that replace those of `backup_tasks.steps`: slow or failing ones. Only tests write to
it."""


@dataclass(frozen=True, kw_only=True)
class Retry:
    """How often, and after how many seconds, a step that met a transient error is tried again."""

    times: int = 6
    first: float = 5.0
    most: float = 300.0

    def delay(self, failures: int) -> float:
        """Return the seconds to wait after so many failures: doubling, with half of it random, so
        that steps that failed together do not come back together."""
        full = min(self.most, self.first * 2.0**failures)
        return full * random.uniform(0.5, 1.0)  # noqa: S311 - no secret


RETRY = Retry()
RECORD_FOR = 600.0
"""Seconds for which a step tries to write how it ended to a ledger that does not answer."""


@dataclass(frozen=True, kw_only=True)
class Succeeded:
    """The step did its work and the ledger has its result."""

    result: Mapping[str, Any]
    run_finished: bool


@dataclass(frozen=True, kw_only=True)
class TryAgain:
    """A transient error: the step is due again in `delay` seconds."""

    error: Transient
    delay: float


@dataclass(frozen=True, kw_only=True)
class Failed:
    """The step failed, and with it the run."""

    error: BackupError


@dataclass(frozen=True, kw_only=True)
class Lost:
    """Another worker took the step over; what this one did counts for nothing."""

    error: LeaseLost


Outcome = Succeeded | TryAgain | Failed | Lost | ledger.Finished | ledger.Busy | ledger.Refused


def verb_of(step: str) -> Verb:
    """Return what does the step: the function of its name, from the module of its name."""
    return VERBS.get(step) or cast(Verb, import_string(f"backup_tasks.steps.{step}.{step}"))


def execute_step(
    run_id: str,
    step: str,
    *,
    task_id: str = "",
    listener: Progress | None = None,
) -> Outcome:
    """Claim the step, do its work, record how it ended.

    A second call for the same step, at any time and on any worker, has the same outcome as one
    call. Raises DatabaseUnavailable where the ledger can't be reached: then nothing was claimed, or
    the work was done and is going to be done again.
    """
    try:
        claim = ledger.claim(run_id, step, task_id=task_id)
    except (DatabaseError, InterfaceError) as error:
        raise explain(error) from error
    if not isinstance(claim, ledger.Claim):
        return claim
    with claim:
        try:
            return _attempt(claim, listener)
        except LeaseLost as error:
            return Lost(error=error)


def _attempt(claim: ledger.Claim, listener: Progress | None) -> Outcome:
    run, step = claim.run, claim.step
    try:
        work = _work(claim, listener)
        with claim.working():
            result = verb_of(step.name)(work)
    except KeyboardInterrupt:
        if not run.on_workers:  # a worker that is told to stop leaves its steps to the others
            _fail(claim, interrupted(run.pk), "")
        raise
    except Exception as raised:  # the one place that records a step's failure
        # A statement or loop that was interrupted fails with an error that is not the reason.
        error = claim.stop_reason or explain(raised)
        if isinstance(error, LeaseLost):
            raise error from raised
        if isinstance(error, Transient) and claim.retries < RETRY.times:
            delay = RETRY.delay(claim.retries)
            _recorded(lambda: ledger.will_retry(claim, error, delay=delay))
            return TryAgain(error=error, delay=delay)
        if run.on_workers:  # a command prints the error itself
            foreseen = isinstance(raised, BackupError) or claim.stop_reason is not None
            logger.error("%s failed: %s", step, error, exc_info=None if foreseen else raised)
        _fail(claim, error, "".join(traceback.format_exception(raised)[-20:]))
        return Failed(error=error)
    results = {**claim.results, step.name: result}
    figures = report.build(results)
    package, sha256 = figures["package"] or "", figures["sha256"] or ""
    finished = _recorded(
        lambda: ledger.succeed(claim, result, report=figures, package=package, sha256=sha256)
    )
    _tidy(run.pk)
    return Succeeded(result=result, run_finished=finished)


def _work(claim: ledger.Claim, listener: Progress | None) -> Work:
    def progress(done: int, total: int | None = None, note: str = "") -> None:
        claim.progress(done, total, note)
        if listener is not None:
            listener(done, total, note)

    storage_ids.recognize(claim.run.kind)
    return Work(
        run_id=claim.run.pk,
        attempt=claim.step.attempt,
        kind=claim.run.kind,
        params=claim.run.params,
        results=claim.results,
        hosts=claim.hosts,
        workspace=_workspace(claim),
        progress=progress,
        still_mine=claim.still_mine,
        holds=claim.holds,
        reads=claim.reads,
    )


def _workspace(claim: ledger.Claim) -> Path:
    """Return the run's workspace; only the first step of a run makes it. Raises HandoverChanged."""
    run_id, here = claim.run.pk, socket.gethostname()
    if claim.results and not workspace.path_of(run_id).is_dir():
        done = ", ".join(f"{step} on {host}" for step, host in claim.hosts.items())
        raise HandoverChanged(
            f"{here} has no workspace of this run, whose earlier steps were done: {done}",
            obj=str(workspace.path_of(run_id)),
            hint="BACKUP['WORKSPACE'] must be one folder for all workers, and a run that failed "
            "long ago has lost its own. Start the run again.",
        )
    return workspace.make(run_id)


def _fail(claim: ledger.Claim, error: BackupError, trace: str) -> None:
    figures = report.build(claim.results)
    _recorded(lambda: ledger.fail(claim, error, report=figures, traceback=trace))
    _tidy(claim.run.pk)


def _tidy(run_id: str) -> None:
    """Remove the orphans of a run that has no further steps. It has ended, so a failure is told in
    the log, and the next prune tries again."""
    if ledger.find(run_id).state not in (Run.State.SUCCEEDED, Run.State.CANCELLED):
        return
    warnings: list[str] = []
    orphans = partial(cleanup.remove_orphans_of, run_id)
    after_commit.or_warning(
        "removing its orphans", orphans, None, warnings, done=f"{run_id} has ended"
    )
    for warning in warnings:
        logger.warning("%s; the next prune tries it again", warning)


def interrupted(run_id: str) -> Cancelled:
    """Return the error of a run whose command was interrupted."""
    return Cancelled("interrupted", obj=run_id, hint=f"`resume_run {run_id}` goes on with it.")


def _recorded(write: Callable[[], T]) -> T:
    """Write to the ledger; where it does not answer, try again on a new connection."""
    deadline = time.monotonic() + RECORD_FOR
    pause = 0.1
    while True:
        try:
            return write()
        except (DatabaseError, InterfaceError) as raised:
            error = explain(raised)
            if not isinstance(error, Transient) or time.monotonic() > deadline:
                raise error from raised
        logger.warning("the ledger does not answer, trying again: %s", error)
        connections[backup_settings().database].close()
        time.sleep(pause)
        pause = min(2 * pause, 10.0)
