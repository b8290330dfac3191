"""Cancels the statements that a step's connections are executing, from another thread.

A statement can take hours, and the thread that waits for it executes no Python. The heartbeat asks
the database to cancel it, and the waiting thread gets a `django.db` error.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any
from weakref import WeakSet

from django.db import DatabaseError, InterfaceError
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created


class Statements:
    """The statements executed inside `gathered`, by its thread and threads with its context."""

    def __init__(self) -> None:
        self.interrupted = False
        """Whether a database was asked to cancel a statement."""
        self._connections: WeakSet[BaseDatabaseWrapper] = WeakSet()
        self._lock = threading.Lock()
        self._open = False

    @contextmanager
    def gathered(self, present: BaseDatabaseWrapper) -> Iterator[None]:
        """Inside, `present` and every connection that is opened can be interrupted.

        After an interrupt, `present` is closed at the end, so that a late request can't cancel the
        next statement.
        """
        with self._lock:
            self._connections.add(present)
            self._open = True
        token = _of_this_step.set(self)
        try:
            yield
        finally:
            _of_this_step.reset(token)
            with self._lock:
                self._open = False
            if self.interrupted and not present.in_atomic_block:
                present.close()

    def add(self, connection: BaseDatabaseWrapper) -> None:
        """Add a connection that was opened inside."""
        with self._lock:
            self._connections.add(connection)

    def interrupt(self) -> None:
        """Ask the databases to cancel what they are executing.

        Call it from another thread, again and again until `gathered` has been left: the step may
        be between two statements.
        """
        with self._lock:
            for connection in [*self._connections] if self._open else []:
                self.interrupted = True
                # A server that can't be reached has nothing to cancel.
                with suppress(DatabaseError, InterfaceError), connection.wrap_database_errors:
                    _interrupt(connection)


_of_this_step: ContextVar[Statements | None] = ContextVar("statements of the step", default=None)


def _interrupt(wrapper: BaseDatabaseWrapper) -> None:
    driver: Any = wrapper.connection
    if driver is None:
        return
    if wrapper.vendor == "postgresql":
        driver.cancel_safe(timeout=2)
    elif wrapper.vendor == "sqlite":
        driver.interrupt()
    else:
        _kill_query(wrapper, driver.thread_id())


def _kill_query(wrapper: BaseDatabaseWrapper, thread: int) -> None:
    """MariaDB cancels a statement only by SQL from another connection."""
    other = wrapper.copy()
    try:
        with other.cursor() as cursor:
            cursor.execute("KILL QUERY %s", [thread])
    finally:
        other.close()


def _note(connection: BaseDatabaseWrapper, **_: Any) -> None:
    if statements := _of_this_step.get():
        statements.add(connection)


connection_created.connect(_note, dispatch_uid="backup_tasks.engines.interruption")
