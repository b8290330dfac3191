"""What the ledger's modules share: its database, times, and whether a step is being worked on."""

from __future__ import annotations

from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from typing import Any

from backup_tasks import moments
from backup_tasks.conf import backup_settings
from backup_tasks.engines.stopped_client import bounded_transaction
from backup_tasks.errors import ErrorRecord
from backup_tasks.ledger import owner
from backup_tasks.models import Step

LIVE = "live"
"""The one value of `Run.live_lock`; the column is unique, so one active run can hold it."""

_GRACE_IN_LEASES = 5


def database() -> str:
    """Return the alias of the database that holds the ledger."""
    return backup_settings().database


def ledger_transaction() -> AbstractContextManager[None]:
    """Begin a transaction on the ledger. A process that is stopped within it does not keep others
    from the rows for long."""
    return bounded_transaction(database())


def lease_end() -> datetime:
    """Return when a lease that is taken now expires."""
    return moments.now() + backup_settings().lease


def expected_by(delay: float = 0) -> datetime:
    """Return by when a step that becomes due in `delay` seconds should have been claimed."""
    grace = backup_settings().lease * _GRACE_IN_LEASES
    return moments.now() + timedelta(seconds=delay) + grace


def is_live(step: Step) -> bool:
    """Tell whether somebody works on the step: it is claimed, the lease runs, the process is not
    known to be gone."""
    return (
        step.state == Step.State.RUNNING
        and step.lease_until is not None
        and step.lease_until > moments.now()
        and not owner.is_gone(step.owner)
    )


def history(step: Step, outcome: str, error: ErrorRecord | None = None) -> list[dict[str, Any]]:
    """Return the step's attempts with the present one added.

    `outcome` is succeeded, failed, retry (a transient error), lost (the worker vanished) or resumed
    (an operator started anew; what came before no longer counts against the step).
    """
    entry = {
        "attempt": step.attempt,
        "outcome": outcome,
        "owner": step.owner,
        "task_id": step.task_id,
        "started_at": step.started_at.isoformat() if step.started_at else None,
        "ended_at": moments.now().isoformat(),
        "error": error,
    }
    return [*step.attempts, entry]


def count_since_resumed(step: Step, outcome: str) -> int:
    """Count the attempts that ended so, since the run was last resumed."""
    count = 0
    for entry in reversed(step.attempts):
        if entry["outcome"] == "resumed":
            break
        count += entry["outcome"] == outcome
    return count
