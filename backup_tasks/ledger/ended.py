"""Tells the project that a run has ended."""

from __future__ import annotations

from django.db import transaction

from backup_tasks.ledger.rows import database
from backup_tasks.models import Run
from backup_tasks.signals import run_ended


def tell_ended(run_id: str) -> None:
    """Send `run_ended` once the present transaction is committed. Nothing that goes wrong then is
    an error of the run's."""

    def send() -> None:
        run_ended.send_robust(sender=Run, run=Run.objects.get(pk=run_id))

    if run_ended.has_listeners(Run):
        transaction.on_commit(send, using=database(), robust=True)
