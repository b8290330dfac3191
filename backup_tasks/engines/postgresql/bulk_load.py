"""Fills the tables of a staging schema over several connections at a time.

A connection does not see what the others have not committed. So each table is filled in a
transaction of its own: it drops indexes and unique constraints, disables triggers, empties and
fills the table, and builds all of them again. Foreign keys connect the tables, so they are dropped
before the first table and added after the last. Until then their definitions are in a table of the
staging schema, `backup_tasks_load`, where the next attempt finds them if this one dies. A schema
whose load is not finished is not promoted.

The same table holds the fencing token: the number of the attempt that loads. Every transaction
checks it first, and the first transaction of an attempt waits for those of earlier attempts. So a
process that lost its lease, and does not know it yet, changes nothing (docs/adr/0007).
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
from backup_tasks.engines.postgresql import deferred_constraints, partitions
from backup_tasks.engines.postgresql.deferred_constraints import ForeignKey
from backup_tasks.engines.postgresql.snapshots import database_identity
from backup_tasks.engines.stopped_client import bounded_transaction
from backup_tasks.errors import BackupError, DoesNotFit, LeaseLost

_STATE_TABLE = "backup_tasks_load"

_BYTES_PER_CONNECTION = 32 << 20
"""Size of the tables from which one more connection for checking foreign keys pays."""

Connect = Callable[[], BaseDatabaseWrapper]
"""Returns a new connection to the staging schema."""


class BulkLoad:
    """One attempt's load of the schema that the alias leads to. Each process of a parallel load has
    an object of its own."""

    def __init__(self, alias: str, schema: str, attempt: int) -> None:
        self._alias, self._schema, self._attempt = alias, schema, attempt
        self._table = qualified(schema, _STATE_TABLE)

    @classmethod
    def join(cls, alias: str, schema: str, token: str) -> BulkLoad:
        """Join the load of the process that gave `token`. Raises DoesNotFit if this process is
        connected to another database, schema or role."""
        attempt, _, expected = token.partition(" ")
        with connections[alias].cursor() as cursor:
            found = database_identity(cursor)
        if found != expected:
            raise DoesNotFit("the settings lead to another database", obj=found)
        return cls(alias, schema, int(attempt))

    @property
    def token(self) -> str:
        """What another process needs to join: the attempt and the identity of the database."""
        with connections[self._alias].cursor() as cursor:
            return f"{self._attempt} {database_identity(cursor)}"

    def begin(self, tables: Sequence[str]) -> None:
        """Drop the foreign keys and empty the tables. Raises LeaseLost."""
        with suppress(IntegrityError), self._transaction() as cursor:  # two at once
            cursor.execute(
                f"CREATE TABLE IF NOT EXISTS {self._table}"
                " (attempt bigint, finished bool, keys text)"
            )
        with self._transaction() as cursor:
            # Locked before the first read, which then sees what the earlier attempt committed.
            cursor.execute(f"LOCK TABLE {self._table} IN EXCLUSIVE MODE")
            attempt, dropped = self._state(cursor)
            if attempt > self._attempt:
                raise self._lease_lost()
            present = deferred_constraints.foreign_keys_of(cursor, self._schema, tables)
            # The saved definition of a key wins: an earlier attempt may have added it NOT VALID.
            keys = {key[:2]: key for key in (*present, *dropped)}
            self._save_state(cursor, [*keys.values()], finished=False)
            deferred_constraints.drop_foreign_keys(cursor, self._schema, present)
            # Other tables of staging that refer to them are emptied too: none is promoted.
            cleared = [*tables, *(key.table for key in present)]
            self._empty(
                cursor, deferred_constraints.with_referring_tables(cursor, self._schema, cleared)
            )

    @contextmanager
    def filling(self, tables: Sequence[str]) -> Iterator[Any]:
        """Give a cursor in a transaction in which the tables are empty and without indexes. At the
        end the indexes are built. Raises LeaseLost, and django.db errors for rows that break a
        constraint."""
        with self._fenced_transaction() as cursor:
            statements = deferred_constraints.drop_indexes_and_constraints(
                cursor, self._schema, tables
            )
            # COPY FREEZE needs a table that the same transaction has emptied.
            self._empty(cursor, tables)
            yield cursor
            for statement in statements:
                cursor.execute(statement)
            for table in tables:
                cursor.execute(f"ANALYZE {qualified(self._schema, table)}")

    def write(self, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> int:
        """Fill a table; return the number of rows. Raises what `filling` raises, and DoesNotFit for
        a row that no partition takes."""
        names = ", ".join(map(quoted, columns))
        wrapped = connections[self._alias].wrap_database_errors
        name = qualified(self._schema, table)
        with partitions.explained(table), self.filling([table]) as cursor, wrapped:
            # Frozen rows are visible to transactions that began before the load too. Without it
            # such a transaction would find the tables empty after a promote. PostgreSQL does not
            # allow it for partitioned tables.
            cursor.execute("SELECT relkind = 'r' FROM pg_class WHERE oid = %s::regclass", [name])
            option = "(FREEZE)" if cursor.fetchone() == (True,) else ""
            with cursor.cursor.copy(f"COPY {name} ({names}) FROM STDIN {option}") as copy:
                for row in rows:
                    copy.write_row(row)
            return int(cursor.rowcount)

    def copy(
        self, tables: Sequence[str], copy: Callable[[Any, str, str, str], None], source: str
    ) -> None:
        """Fill tables with rows of those in another schema: `copy` is called with a cursor, the two
        schemas and each table. Raises what `filling` raises."""
        if tables:
            with self.filling(tables) as cursor:
                for table in tables:
                    copy(cursor, source, self._schema, table)

    def end(self, tables: Sequence[str], connect: Connect) -> None:
        """Add the foreign keys and check them. Raises LeaseLost, IntegrityError."""
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
        """Empty the tables, without CASCADE: tables of other schemas may refer to them."""
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
        """Give a cursor in a transaction during which no other attempt can begin. Raises LeaseLost
        if one has begun."""
        with self._transaction() as cursor:
            cursor.execute(f"LOCK TABLE {self._table} IN ROW SHARE MODE")
            attempt, _ = self._state(cursor)
            if attempt != self._attempt:
                raise self._lease_lost()
            yield cursor

    def _state(self, cursor: Any) -> tuple[int, list[ForeignKey]]:
        """Return the attempt that loads, and the foreign keys that it dropped."""
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
        """Execute the statements on up to `max_connections` connections. One that fails in a thread
        is executed again here, which raises its error."""
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
        # The context makes `interruption` find the threads' connections.
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
                    # If the server can't be reached, there is nothing to cancel.
                    with suppress(DatabaseError, InterfaceError), connection.wrap_database_errors:
                        driver_connection.cancel()
            for thread in threads:
                thread.join()


def refuse_unfinished_load(cursor: Any, schema: str) -> None:
    """Raise DoesNotFit if a load of the schema did not finish."""
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
