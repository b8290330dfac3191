"""Lets the server end a transaction whose client has stopped responding.

A process that is stopped inside a transaction (SIGSTOP, a suspended or lost machine) keeps its
locks. The site then waits for live's tables, and the next attempt for rows of the ledger. So the
server gets a limit for how long such a transaction may be idle. After it, the server ends the
session and rolls back.

SQLite has no server. The lock on the file ends with the process.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Literal

from django.db import DatabaseError, InterfaceError, connections, transaction

Between = Literal["nothing", "project code", "another connection"]
"""What may happen between two statements of a transaction: nothing; functions of the project
(`BACKUP["CHECKS"]`), which may work without a query; a wait for a statement of another connection
(a swap on MariaDB)."""
IDLE_SECONDS: dict[Between, float] = {
    "nothing": 10.0,
    "project code": 60.0,
    "another connection": 600.0,
}
"""How long the session may be idle."""


@contextmanager
def bounded_transaction(alias: str, *, between: Between = "nothing") -> Iterator[None]:
    """A transaction whose session the server ends if it is idle for too long.

    Inside another transaction it is a savepoint, with the limit of the outer one.
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
                # The second is for a client machine that is lost while it receives a result.
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
    """MariaDB has this limit only for sessions."""
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
        if connection.connection is session:  # else the session has ended
            with suppress(DatabaseError, InterfaceError), connection.cursor() as cursor:
                cursor.execute("SET SESSION idle_transaction_timeout = %s", [before])
