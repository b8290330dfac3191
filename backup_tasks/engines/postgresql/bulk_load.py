"""How the tables of a PostgreSQL place are filled, over several connections at a time.

What one connection has not committed, the others can't see. So each table is a transaction of its
own: its indexes, unique constraints and triggers are put aside, it is emptied, filled, and all is
built again. Foreign keys lead from table to table: they are put aside before the first and come
back after the last. Until then they are kept in a table of the place, where the next attempt finds
them, whatever became of this one; and a place that lacks them is not promoted.

That table also says which attempt loads. Every transaction looks there first, and the first one of
an attempt waits for those of earlier ones. So a process that has lost its step, and does not know
it yet, changes nothing any more (docs/adr/0007).
"""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from contextvars import copy_context
from typing import Any

from django.db import DatabaseError, IntegrityError, InterfaceError, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from backup_tasks.conf import backup_settings
from backup_tasks.engines.base import connection_replaced, qualified, quoted
from backup_tasks.engines.postgresql import deferred_constraints
from backup_tasks.engines.postgresql.deferred_constraints import ForeignKey
from backup_tasks.engines.postgresql.snapshots import database_identity
from backup_tasks.engines.stopped_client import bounded_transaction
from backup_tasks.errors import BackupError, DoesNotFit, LeaseLost

_STATE_TABLE = "backup_tasks_load"

_BYTES_PER_CONNECTION = 32 << 20
"""Bytes of tables for each connection that checks foreign keys."""

Connect = Callable[[], BaseDatabaseWrapper]
"""Returns a new connection to the place."""


class BulkLoad:
    """One attempt to load the place that the alias leads to, in one of the processes that do."""

    def __init__(self, alias: str, schema: str, attempt: int) -> None:
        self._alias, self._schema, self._attempt = alias, schema, attempt
        self._table = qualified(schema, _STATE_TABLE)

    @classmethod
    def join(cls, alias: str, schema: str, token: str) -> BulkLoad:
        """Return what another process began. Raises DoesNotFit if that is somewhere else."""
        attempt, _, expected = token.partition(" ")
        with connections[alias].cursor() as cursor:
            found = database_identity(cursor)
        if found != expected:
            raise DoesNotFit("the settings lead to another database", obj=found)
        return cls(alias, schema, int(attempt))

    @property
    def token(self) -> str:
        """What another process needs to join."""
        with connections[self._alias].cursor() as cursor:
            return f"{self._attempt} {database_identity(cursor)}"

    def begin(self, tables: Sequence[str]) -> None:
        """Put foreign keys aside and empty the tables. Raises LeaseLost."""
        with suppress(IntegrityError), self._transaction() as cursor:  # made by two at once
            cursor.execute(
                f"CREATE TABLE IF NOT EXISTS {self._table}"
                " (attempt bigint, finished bool, keys text)"
            )
        with self._transaction() as cursor:
            # Before anything is read: what is read then is what the one before has left.
            cursor.execute(f"LOCK TABLE {self._table} IN EXCLUSIVE MODE")
            attempt, dropped = self._state(cursor)
            if attempt > self._attempt:
                raise self._lease_lost()
            present = deferred_constraints.foreign_keys_of(cursor, self._schema, tables)
            # What an attempt put aside tells how a key was: it may have come back unchecked.
            keys = {key[:2]: key for key in (*present, *dropped)}
            self._save_state(cursor, [*keys.values()], finished=False)
            deferred_constraints.drop_foreign_keys(cursor, self._schema, present)
            # What else refers to them here, in staging, is not promoted.
            cleared = [*tables, *(key.table for key in present)]
            self._empty(
                cursor, deferred_constraints.with_referring_tables(cursor, self._schema, cleared)
            )

    @contextmanager
    def filling(self, tables: Sequence[str]) -> Iterator[Any]:
        """One transaction, in which the tables are empty and without indexes until its end. Gives
        a cursor. Raises LeaseLost, and django.db errors for what breaks a constraint."""
        with self._fenced_transaction() as cursor:
            statements = deferred_constraints.drop_indexes_and_constraints(
                cursor, self._schema, tables
            )
            # Rows can be written frozen to what was emptied in the same transaction.
            self._empty(cursor, tables)
            yield cursor
            for statement in statements:
                cursor.execute(statement)
            for table in tables:
                cursor.execute(f"ANALYZE {qualified(self._schema, table)}")

    def write(self, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> int:
        """Fill a table; return the number of rows. Raises what `filling` raises."""
        names = ", ".join(map(quoted, columns))
        wrapped = connections[self._alias].wrap_database_errors
        name = qualified(self._schema, table)
        with self.filling([table]) as cursor, wrapped:
            # Frozen rows are seen by a transaction that began before they were loaded, too: after
            # a promote it would find the new tables empty. A partitioned table can't have it.
            cursor.execute("SELECT relkind = 'r' FROM pg_class WHERE oid = %s::regclass", [name])
            option = "(FREEZE)" if cursor.fetchone() == (True,) else ""
            with cursor.cursor.copy(f"COPY {name} ({names}) FROM STDIN {option}") as copy:
                for row in rows:
                    copy.write_row(row)
            return int(cursor.rowcount)

    def end(self, tables: Sequence[str], connect: Connect) -> None:
        """Bring the foreign keys back. Raises LeaseLost, IntegrityError."""
        with self._fenced_transaction() as cursor:
            _, keys = self._state(cursor)
            checks = deferred_constraints.add_foreign_keys(cursor, self._schema, keys)
            cursor.execute(
                "SELECT coalesce(sum(pg_relation_size(to_regclass(name))), 0)"
                " FROM unnest(%s::text[]) name",
                [[qualified(self._schema, table) for table in tables]],
            )
            (size,) = cursor.fetchone()
        self._execute(checks, connect, max_connections=int(size) // _BYTES_PER_CONNECTION)
        with self._fenced_transaction() as cursor:
            self._save_state(cursor, [], finished=True)

    def _empty(self, cursor: Any, tables: Sequence[str]) -> None:
        """Without CASCADE: whatever refers to them from elsewhere is not ours."""
        if tables:
            names = (qualified(self._schema, table) for table in tables)
            cursor.execute(f"TRUNCATE {', '.join(names)}")

    @contextmanager
    def _transaction(self) -> Iterator[Any]:
        with (
            bounded_transaction(self._alias),
            connections[self._alias].cursor() as cursor,
        ):
            yield cursor

    @contextmanager
    def _fenced_transaction(self) -> Iterator[Any]:
        """A transaction during which no other attempt can begin. Raises LeaseLost if one has."""
        with self._transaction() as cursor:
            cursor.execute(f"LOCK TABLE {self._table} IN ROW SHARE MODE")
            attempt, _ = self._state(cursor)
            if attempt != self._attempt:
                raise self._lease_lost()
            yield cursor

    def _state(self, cursor: Any) -> tuple[int, list[ForeignKey]]:
        """Return which attempt loads, and which foreign keys are put aside."""
        cursor.execute(f"SELECT attempt, keys FROM {self._table}")
        attempt, keys = cursor.fetchone() or (0, "[]")
        return attempt, [ForeignKey(*key) for key in json.loads(keys)]

    def _save_state(self, cursor: Any, keys: Sequence[ForeignKey], *, finished: bool) -> None:
        cursor.execute(f"DELETE FROM {self._table}")
        cursor.execute(
            f"INSERT INTO {self._table} VALUES (%s, %s, %s)",
            [self._attempt, finished, json.dumps(keys)],
        )

    def _lease_lost(self) -> LeaseLost:
        return LeaseLost(
            f"attempt {self._attempt} lost its lease: a later one loads",
            obj=f"database {self._alias}",
        )

    def _execute(
        self, statements: Sequence[str], connect: Connect, *, max_connections: int
    ) -> None:
        """Execute the statements, several at a time where that pays. What a thread fails at is
        executed here."""
        remaining = deque(statements)
        connections_opened: list[BaseDatabaseWrapper] = []

        def execute_remaining() -> None:
            while True:
                try:
                    statement = remaining.popleft()
                except IndexError:
                    return
                try:
                    with self._fenced_transaction() as cursor:
                        cursor.execute(statement)
                except Exception:
                    remaining.append(statement)
                    raise

        def work_in_thread() -> None:
            with suppress(DatabaseError, InterfaceError, BackupError), thread_connection():
                execute_remaining()

        @contextmanager
        def thread_connection() -> Iterator[None]:
            connection = connect()
            connections_opened.append(connection)
            with connection_replaced(self._alias, connection):
                yield

        number = min(backup_settings().connections, max_connections, len(remaining)) - 1
        # With the context, so that what interrupts the step reaches them.
        threads = [
            threading.Thread(target=copy_context().run, args=[work_in_thread], daemon=True)
            for _ in range(number)
        ]
        try:
            for thread in threads:
                thread.start()
            execute_remaining()
            for thread in threads:
                thread.join()
            execute_remaining()
        finally:
            remaining.clear()
            for connection in connections_opened:
                if driver_connection := connection.connection:
                    # A server that can't be reached has nothing to cancel either.
                    with suppress(DatabaseError, InterfaceError), connection.wrap_database_errors:
                        driver_connection.cancel()
            for thread in threads:
                thread.join()


def refuse_unfinished_load(cursor: Any, schema: str) -> None:
    """Raise DoesNotFit if a load of the place did not come to its end."""
    state = qualified(schema, _STATE_TABLE)
    cursor.execute("SELECT to_regclass(%s) IS NOT NULL", [state])
    if cursor.fetchone() == (True,):
        cursor.execute(f"SELECT 1 FROM {state} WHERE NOT finished")
        if cursor.fetchone():
            raise DoesNotFit(
                "its load did not come to its end",
                obj=schema,
                hint="Resume the run, or start another one.",
            )
