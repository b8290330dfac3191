"""Collects the facts. Nothing here decides what is good; `conditions` does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from backup_tasks import cleanup, moments
from backup_tasks.conf import backup_settings
from backup_tasks.engines import require_database
from backup_tasks.error_classification import LEDGER_ERRORS, explain
from backup_tasks.errors import BackupError
from backup_tasks.models import UndoPoint
from backup_tasks.status import ledger_facts, packages, schedules
from backup_tasks.status.facts import Facts, Limits, Problem
from backup_tasks.status.workers import Asked, ask


def of_stores(*, ask_workers: bool = False) -> Facts:
    """Read the stores, the ledger where it can be asked, and the disks; write nothing.

    Without a database the stores alone are judged, and `unknown` says what could not be asked.
    `ask_workers`: wait a second for the Celery workers to answer. Raises KeyMissing where a trusted
    key is no key.
    """
    found: dict[str, Any] = {"unknown": []}
    try:
        require_database(backup_settings().database)
        looked = packages.in_stores(ledger=True)
        found |= packages.facts_of(looked)
        found |= ledger_facts.facts_of(found["points"]) | _beat()
    except LEDGER_ERRORS as raised:
        looked = packages.in_stores(ledger=False)
        found = packages.facts_of(looked)
        found["recorded"] = False
        found["unknown"] = [_not_recorded(explain(raised))]
    else:
        found |= _orphans(found["unknown"])
    if ask_workers:
        found |= asked_facts(ask())
    return Facts(now=moments.now(), limits=_limits(), **found)


def of_index(
    looked: packages.Looked | None = None, undo: Sequence[UndoPoint] | None = None
) -> Facts:
    """Return the facts for a page, with few queries: packages as the index knows them, no orphans.
    `looked`, `undo`: `packages.in_index` and `replaced.not_undone`, where the caller has them.
    Raises LEDGER_ERRORS."""
    found = packages.facts_of(looked or packages.in_index())
    found |= ledger_facts.facts_of(found["points"], undo) | _beat()
    return Facts(now=moments.now(), limits=_limits(), **found)


def asked_facts(asked: Asked) -> dict[str, Any]:
    """Return the fields of `Facts` that the broker and the workers decide. Where the broker can't
    be reached, nobody knows of the workers."""
    workers = None if asked.broker else asked.workers
    return {"broker": asked.broker, "workers": workers, "waiting": asked.waiting}


def _limits() -> Limits:
    settings = backup_settings()
    return Limits(
        warn_after=settings.warn_after,
        critical_after=settings.critical_after,
        proof_within=settings.proof_within,
    )


def _beat() -> dict[str, Any]:
    found: dict[str, Any] = {"without_entry": schedules.without_entry()}
    if ledger_facts.records_results() and schedules.expects_reconciler():
        found |= {"beat_expected": True, "beat_seen_at": ledger_facts.reconciled_at()}
    return found


def _orphans(unknown: list[Problem]) -> dict[str, Any]:
    try:
        return {"orphans": cleanup.remove_all(dry=True).names}
    except (BackupError, *LEDGER_ERRORS) as raised:
        error = explain(raised)
        return {"unknown": [*unknown, Problem(obj="orphans", what=error.what, remedy=error.hint)]}


def _not_recorded(error: BackupError) -> Problem:
    return Problem(
        obj="the ledger",
        what=f"{error.what} (the stores alone were read; runs are not recorded here)",
        remedy=error.hint,
    )
