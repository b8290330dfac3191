"""Tells the project that a run has begun or ended."""

from __future__ import annotations

from django.db import transaction
from django.dispatch import Signal

from backup_tasks.ledger.rows import database
from backup_tasks.models import Run
from backup_tasks.signals import run_ended, run_started


def tell_started(run_id: str) -> None:
    """Send `run_started` once the present transaction is committed."""
    _tell(run_started, run_id)


def tell_ended(run_id: str) -> None:
    """Send `run_ended` once the present transaction is committed."""
    _tell(run_ended, run_id)


def _tell(signal: Signal, run_id: str) -> None:
    """Nothing that goes wrong in a receiver is an error of the run's."""

    def send() -> None:
        signal.send_robust(sender=Run, run=Run.objects.get(pk=run_id))

    if signal.has_listeners(Run):
        transaction.on_commit(send, using=database(), robust=True)
