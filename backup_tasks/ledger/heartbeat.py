"""Keeps the lease of a claimed step while the step works, from a thread of its own.

The thread has its own connection: a step may hold a long transaction on the main one, or point it
at a staging database.
"""

from __future__ import annotations

import logging
import threading
from typing import Any

from django.db import DatabaseError, InterfaceError, connections

from backup_tasks.conf import backup_settings
from backup_tasks.ledger.rows import database, lease_end
from backup_tasks.models import Step

logger = logging.getLogger(__name__)


class Heartbeat:
    """Writes `lease_until` and `progress` four times a lease, until stopped or until it is lost."""

    def __init__(self, step_id: int, *, token: int) -> None:
        self.progress: dict[str, Any] = {}
        self._held = Step.objects.filter(pk=step_id, attempt=token, state=Step.State.RUNNING)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._beat, name=f"lease-{step_id}", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread and wait for its last write. Its connection is closed then."""
        self._stopped.set()
        self._thread.join()

    def _beat(self) -> None:
        pause = backup_settings().lease.total_seconds() / 4
        try:
            while not self._stopped.wait(pause):
                if not self._prolong():
                    logger.warning("another worker took the step over, or the run's step ended")
                    return
        finally:
            connections[database()].close()

    def _prolong(self) -> bool:
        """Write once. A database that does not answer is asked again at the next beat: whether the
        lease was lost meanwhile shows then, and every later write of the step is fenced anyway."""
        try:
            return bool(self._held.update(lease_until=lease_end(), progress=self.progress))
        except (DatabaseError, InterfaceError) as error:
            logger.warning("the ledger did not take a heartbeat: %s", error)
            connections[database()].close()
            return True
