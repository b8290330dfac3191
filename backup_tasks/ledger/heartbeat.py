"""Keeps the lease of a claimed step while the step works, from a thread of its own, and notices
when the step should stop.

The thread has its own connection: a step may hold a long transaction on the main one, or point it
at a staging database.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import Any

from django.db import DatabaseError, InterfaceError, connections

from backup_tasks.conf import backup_settings
from backup_tasks.engines.interruption import Statements
from backup_tasks.errors import Cancelled, LeaseLost
from backup_tasks.ledger.rows import database, lease_end
from backup_tasks.models import Run, Step

logger = logging.getLogger(__name__)

LOOK_EVERY = 1.0
"""Seconds between two looks at whether the run was cancelled: an operator waits for it."""


class Heartbeat:
    """Writes `lease_until` and `progress` four times a lease. Once the run is cancelled or the
    lease is lost, it says so in `stop_reason`, and ends the statements that the step executes,
    until the step has stopped."""

    def __init__(self, step: Step, statements: Statements) -> None:
        self.progress: dict[str, Any] = {}
        self.stop_reason: Cancelled | LeaseLost | None = None
        self.is_working = False
        """Whether the step does its work: before and after, nothing is interrupted."""
        self._name, self._run_id, self._token = str(step), step.run_id, step.attempt
        self._statements = statements
        self._row = Step.objects.filter(pk=step.pk)
        self._held = self._row.filter(attempt=step.attempt, state=Step.State.RUNNING)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._beat, name=f"lease-{step.pk}", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread and wait for its last write. Its connection is closed then."""
        self._stopped.set()
        self._thread.join()

    def _beat(self) -> None:
        quarter = backup_settings().lease.total_seconds() / 4
        due = time.monotonic() + quarter
        try:
            while not self._stopped.wait(min(LOOK_EVERY, quarter)):
                if time.monotonic() >= due:
                    due = time.monotonic() + quarter
                    self._extend_lease()
                if self.stop_reason is None:
                    self._look()
                if self.stop_reason is not None:
                    self._statements.interrupt()
        finally:
            connections[database()].close()

    def _extend_lease(self) -> None:
        """Extend the lease once. If the database does not answer, the next beat tries again. That
        is safe: every write of an attempt that lost its lease is refused."""
        try:
            self._held.update(lease_until=lease_end(), progress=self.progress)
        except (DatabaseError, InterfaceError) as error:
            logger.warning("the ledger did not take a heartbeat of %s: %s", self._name, error)
            connections[database()].close()

    def _look(self) -> None:
        """Look whether the step should go on. A database that does not answer says nothing."""
        try:
            row = self._row.values_list("attempt", "state", "run__state").first()
        except (DatabaseError, InterfaceError):
            connections[database()].close()
            return
        # In this order: a step that has ended its work writes the row after it has said so.
        if not self.is_working:
            return
        self.stop_reason = self._reason(*row) if row else self._lost("its run is gone")
        if isinstance(self.stop_reason, LeaseLost):
            logger.warning("%s is given up: %s", self._name, self.stop_reason.what)

    def _reason(self, attempt: int, state: str, run_state: str) -> Cancelled | LeaseLost | None:
        if attempt != self._token:
            return self._lost(f"attempt {attempt} has taken the step over")
        if state != Step.State.RUNNING:
            return self._lost("its lease ran out, and the step waits for another worker")
        if run_state == Run.State.CANCELLED:
            return Cancelled("the run was cancelled", obj=self._run_id)
        return None

    def _lost(self, why: str) -> LeaseLost:
        return LeaseLost(f"attempt {self._token} lost its lease: {why}", obj=self._name)
