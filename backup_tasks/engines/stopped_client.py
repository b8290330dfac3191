"""Lets the server end a transaction whose client has stopped.

A process that is stopped (SIGSTOP, a suspended or vanished machine) inside a transaction keeps its
locks for as long as it stays stopped: the site waits for the tables of live, the next attempt for
the rows of the ledger. So the server is told for how long such a transaction may be idle. Then it
ends the session, and what the transaction did never happened.

SQLite has no server. The lock on the file is the process's, and goes with it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Literal

from django.db import DatabaseError, InterfaceError, connections, transaction

Between = Literal["nothing", "project code", "another connection"]
"""What happens between two statements of a transaction: nothing; functions of the project are
called (`BACKUP["CHECKS"]`), which may do something without a query; it waits for a statement of
another connection (a swap on MariaDB)."""
IDLE_SECONDS: dict[Between, float] = {
    "nothing": 10.0,
    "project code": 60.0,
    "another connection": 600.0,
}
"""For how long the client may say nothing."""


@contextmanager
def bounded_transaction(alias: str, *, between: Between = "nothing") -> Iterator[None]:
    """A transaction whose session the server ends if the client says nothing for too long.

    Inside another transaction it is a part of that, and has its limit.
    """
    connection: Any = connections[alias]
    seconds = IDLE_SECONDS[between]
    if connection.in_atomic_block or connection.vendor not in ("postgresql", "mysql"):
        with transaction.atomic(alias):
            yield
    elif connection.vendor == "postgresql":
        milliseconds = round(seconds * 1000)
        with transaction.atomic(alias):
            with connection.cursor() as cursor:
                # The second: a machine that vanished while a result was on its way to it.
                cursor.execute(
                    f"SET LOCAL idle_in_transaction_session_timeout = {milliseconds};"
                    f" SET LOCAL tcp_user_timeout = {milliseconds}"
                )
            yield
    else:
        with _bounded_session(connection, seconds), transaction.atomic(alias):
            yield


@contextmanager
def _bounded_session(connection: Any, seconds: float) -> Iterator[None]:
    """MariaDB has the limit for whole sessions only."""
    if not connection.mysql_is_mariadb:
        yield
        return
    with connection.cursor() as cursor:
        cursor.execute("SELECT @@SESSION.idle_transaction_timeout")
        (before,) = cursor.fetchone()
        cursor.execute("SET SESSION idle_transaction_timeout = %s", [max(1, round(seconds))])
    session = connection.connection
    try:
        yield
    finally:
        if connection.connection is session:  # else it was ended, or closed
            with suppress(DatabaseError, InterfaceError), connection.cursor() as cursor:
                cursor.execute("SET SESSION idle_transaction_timeout = %s", [before])
