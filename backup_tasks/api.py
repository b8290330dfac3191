"""Start runs, wait for them, and be told of their ends, from a project's own code.

    from backup_tasks import api

    run = api.start("backup", {"label": "before-import"})
    run = api.wait(run.pk, timeout=3600)
    print(run.package, run.report["models"])

Kinds of runs, and their parameters with the defaults, are in `chains.PARAMS`. Errors are those of
`backup_tasks.errors`.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from django.db import connections

from backup_tasks import errors, ledger
from backup_tasks.conf import backup_settings
from backup_tasks.models import Run
from backup_tasks.runs import chains, foreground
from backup_tasks.runs.foreground import Watcher
from backup_tasks.signals import run_ended, run_started

__all__ = [
    "Watcher",
    "cancel",
    "find",
    "resume",
    "run_ended",
    "run_here",
    "run_started",
    "start",
    "wait",
]

_PAUSE = 0.5
"""Seconds between two looks at the ledger."""


def start(kind: str, params: Mapping[str, Any] | None = None, *, requested_by: str = "") -> Run:
    """Write a run to the ledger and hand it to the workers, once the present transaction is
    committed; return it.

    Raises Misconfigured where kind or parameters make no sense or Celery is not installed,
    AnotherRunActive where it would write to live and another run does, Transient where the broker
    does not answer (the run has failed then, and can be resumed).
    """
    run = chains.start(
        kind, trigger="code", requested_by=requested_by, on_workers=True, params=params
    )
    _hand_over(run)
    return run


def run_here(
    kind: str,
    params: Mapping[str, Any] | None = None,
    *,
    requested_by: str = "",
    watcher: Watcher | None = None,
) -> Run:
    """Execute a run in this process, without Celery, and return it when it has succeeded.

    `watcher` is told how it goes on. Raises what `start` raises, but for the broker's, and the
    error that the run failed with.
    """
    run = chains.start(kind, trigger="code", requested_by=requested_by, params=params)
    return foreground.run_here(run, watcher=watcher)


def find(run_id: str) -> Run:
    """Return a run, read anew. Raises Permanent where there is none of that id."""
    return ledger.find(run_id)


def wait(run_id: str, *, timeout: float | None = None) -> Run:
    """Wait until the run has ended and return it, if it has succeeded.

    `timeout` is in seconds; None waits as long as it takes. Raises the error that the run failed
    with, Cancelled where somebody cancelled it, TimeoutError, and Misconfigured inside a
    transaction, which would neither let the run begin nor see how it ends.
    """
    if connections[backup_settings().database].in_atomic_block:
        raise errors.Misconfigured(
            "a run can't be waited for inside a transaction",
            obj=run_id,
            hint="Wait after it is committed: outside of `atomic` and of ATOMIC_REQUESTS.",
        )
    deadline = None if timeout is None else time.monotonic() + timeout
    while (run := ledger.find(run_id)).state in Run.ACTIVE:
        if deadline is not None and time.monotonic() >= deadline:
            raise TimeoutError(f"{run_id} is {run.state} after {timeout:g} seconds")
        time.sleep(_PAUSE)
    if run.state != Run.State.SUCCEEDED:
        raise errors.of_record(run.error)
    return run


def resume(run_id: str) -> Run:
    """Let the workers go on with a failed or abandoned run; return it. Raises what `start` raises,
    and Permanent where there is nothing to resume."""
    run = chains.resume(run_id, on_workers=True, trigger="code")
    _hand_over(run)
    return run


def cancel(run_id: str, *, requested_by: str = "") -> Run:
    """Cancel an active run; a step at work stops within seconds. Raises Permanent where the run has
    ended, or has replaced live's rows: then it can only be finished."""
    return chains.cancel(run_id, trigger="code", requested_by=requested_by)


def _hand_over(run: Run) -> None:
    try:
        from backup_tasks.tasks import hand_over
    except ImportError as error:
        wrong = errors.Misconfigured(
            f"workers need Celery: {error}",
            obj=run.pk,
            hint="Install celery, or use `run_here`.",
        )
        ledger.fail_run(run.pk, wrong)
        raise wrong from error
    hand_over(run, hint=f"`api.resume({run.pk!r})` when the broker is back.")
