"""MariaDB: staging and undo are databases on the same server.

MariaDB commits DDL by itself. A promote is atomic because one RENAME TABLE moves all tables or
none, also if client or server die (MariaDB 10.6 and later). It moves the table `django_migrations`
too, so an undo database that has this table shows that the promote happened: docs/adr/0013.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar, TypeVar

from django.db import connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from backup_tasks.engines.base import Engine, connection_replaced, identifier, insert
from backup_tasks.engines.lock_retry import retry_lock
from backup_tasks.engines.mariadb import counters, databases, merging, recorded_structure, structure
from backup_tasks.engines.mariadb.foreign_keys import qualified, quoted
from backup_tasks.engines.mariadb.rehearsal import Rehearsal
from backup_tasks.engines.mariadb.rename_swap import (
    MIGRATIONS_TABLE,
    RenameSwap,
    refuse_other_storage,
    refuse_triggers,
    refuse_what_hangs_on_live,
    tables_in,
)
from backup_tasks.engines.stopped_client import bounded_transaction
from backup_tasks.package.entries import SequenceEntry

_OLDEST = (10, 6)
_NAME_LENGTH = 64

_LOCK_SECONDS = 1
"""Lock timeout per table. The server accepts whole seconds only."""
_LOCK_TRIES = 10
_LOCK_ERRORS = frozenset({1205, 1213})
"""Server errors: lock wait timeout, deadlock."""

T = TypeVar("T")


class MariaDB(Engine):
    """The engine for MariaDB. The time of a promote does not depend on the number of rows."""

    isolation: ClassVar[str] = "repeatable read, read only"

    def __init__(self, alias: str) -> None:
        super().__init__(alias)
        databases.refuse_server(self.live, _OLDEST)
        with self.live.cursor() as cursor:
            cursor.execute("SELECT DATABASE()")
            (self._database,) = cursor.fetchone()

    def _connection(self, database: str | None = None) -> BaseDatabaseWrapper:
        """Return a new connection like live's, to another database if one is given. Its chunked
        cursor streams; Django's own would hold a whole table in memory."""
        connection = self.live.copy()
        if database:
            connection.settings_dict["NAME"] = database

        def streaming() -> Any:
            connection.ensure_connection()
            driver = connection.connection
            default_class, driver.cursorclass = (
                driver.cursorclass,
                databases.streaming_cursor(connection),
            )
            try:
                return connection.cursor()
            finally:
                driver.cursorclass = default_class

        connection.chunked_cursor = streaming  # type: ignore[method-assign]  # on this connection only
        return connection

    @contextmanager
    def _ddl_cursor(self, database: str | None = None) -> Iterator[Any]:
        """Give a cursor on a connection of its own, since DDL would commit the alias's
        transaction."""
        connection = self._connection(database)
        try:
            with connection.cursor() as cursor:
                cursor.execute("SET foreign_key_checks = 0")
                cursor.execute(f"SET lock_wait_timeout = {_LOCK_SECONDS}")
                cursor.execute(f"SET innodb_lock_wait_timeout = {_LOCK_SECONDS}")
                yield cursor
        finally:
            connection.close()

    @contextmanager
    def snapshot(self, tables: Sequence[str] = ()) -> Iterator[None]:
        connection = self._connection()
        connection.settings_dict["OPTIONS"]["isolation_level"] = "repeatable read"
        with connection_replaced(self.alias, connection), transaction.atomic(self.alias):
            with connection.cursor() as cursor:
                cursor.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
                found = connection.introspection.django_table_names(only_existing=True)
                refuse_other_storage(cursor, self._database, found)
            yield

    def schema_name(self, purpose: str, run_id: str) -> str:
        """Return a name that starts with live's, so that one GRANT with a pattern is enough."""
        name = f"{self._database}_{identifier(purpose, run_id)}"
        if len(name) <= _NAME_LENGTH:
            return name
        ending = hashlib.sha256(name.encode()).hexdigest()[:16]
        return f"{name[: _NAME_LENGTH - 17]}_{ending}"

    def schemas(self) -> list[str]:
        with self.live.cursor() as cursor:
            cursor.execute(
                "SELECT schema_name FROM information_schema.schemata"
                " WHERE BINARY schema_comment = %s ORDER BY schema_name",
                [self._database_comment()],
            )
            return [name for (name,) in cursor.fetchall()]

    def _database_comment(self) -> str:
        """Return the comment that marks databases which this project made (P2). Servers have this
        text: with another one, existing databases would not be found any more."""
        return f"place of backup_tasks for database {self._database}"

    def create(self, schema: str) -> None:
        self.drop(schema)
        with self._ddl_cursor() as cursor:
            databases.create(cursor, schema, like=self._database, comment=self._database_comment())

    def clone(self, schema: str, tables: Sequence[str]) -> list[str]:
        self.create(schema)
        names = sorted({*tables, MIGRATIONS_TABLE})
        with self._ddl_cursor(schema) as cursor:
            wanted = structure.create_statements(cursor, self._database, names)
            for statement in wanted.values():
                cursor.execute(statement)
            cursor.execute(
                f"INSERT INTO {MIGRATIONS_TABLE}"
                f" SELECT * FROM {qualified(self._database, MIGRATIONS_TABLE)}"
            )
            made = structure.create_statements(cursor, schema, names)
        # Triggers are not copied: a promote refuses live's.
        return [
            f"{name}: created differently: {made[name]}"
            for name in names
            if made[name] != wanted[name]
        ]

    def missing_in(self, schema: str, tables: Sequence[str]) -> list[str]:
        with self.live.cursor() as cursor:
            return structure.missing_in(cursor, self._database, schema, tables)

    @contextmanager
    def at(self, schema: str) -> Iterator[None]:
        with connection_replaced(self.alias, self._connection(schema)):
            yield

    def drop(self, schema: str) -> None:
        if schema in self.schemas():
            with self._ddl_cursor() as cursor:
                cursor.execute(f"DROP DATABASE IF EXISTS {quoted(schema)}")

    @contextmanager
    def loading(self, tables: Sequence[str], *, attempt: int) -> Iterator[None]:
        connection = connections[self.alias]
        connection.disable_constraint_checking()
        with transaction.atomic(self.alias), connection.cursor() as cursor:
            cursor.execute("SELECT DATABASE()")
            (schema,) = cursor.fetchone()
            refuse_triggers(cursor, schema, tables)
            # Without this mode a primary key of 0 would become the next number.
            cursor.execute("SET sql_mode = concat(@@sql_mode, ',NO_AUTO_VALUE_ON_ZERO')")
            for table in tables:
                # TRUNCATE would be faster, but it commits the transaction.
                cursor.execute(f"DELETE FROM {quoted(table)}")
            yield
        connection.enable_constraint_checking()

    def write(self, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> int:
        # The driver combines the rows of a batch into multi-row statements.
        return insert(connections[self.alias], quoted(table), map(quoted, columns), rows)

    def copy_from_live(self, tables: Sequence[str]) -> None:
        with connections[self.alias].cursor() as cursor:
            for table in tables:
                columns = ", ".join(structure.stored_columns(cursor, self._database, table))
                cursor.execute(
                    f"INSERT INTO {quoted(table)} ({columns})"
                    f" SELECT {columns} FROM {quoted(self._database)}.{quoted(table)}"
                )

    def load_keys(self, table: str, known: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        merging.allow_null(self.alias, table, known)
        self.write(table, known, rows)

    @contextmanager
    def merge_transaction(self, schema: str, *, writing: Sequence[str] | None) -> Iterator[str]:
        connection = self._connection()  # its temporary tables end with it
        # A merge locks what it reads; its rehearsal must not.
        isolation = "read committed" if writing is None else "repeatable read"
        connection.settings_dict["OPTIONS"]["isolation_level"] = isolation
        with connection_replaced(self.alias, connection), connection.cursor() as cursor:
            merging.prepare_session(cursor)
            with bounded_transaction(self.alias, between="project code"):
                if writing:
                    self._retry_lock(
                        lambda: merging.lock_rows(
                            cursor, self._database, writing, seconds=_LOCK_SECONDS
                        )
                    )
                yield f"{quoted(schema)}."
                if writing:
                    with self._ddl_cursor() as committed:
                        merging.refuse_new_dangling_rows(cursor, committed, self._database, writing)

    def copy_from_schema(self, schema: str, tables: Sequence[str]) -> None:
        with connections[self.alias].cursor() as cursor:
            for table in tables:
                structure.copy_migrated_rows(cursor, schema, table)

    def in_doubt(self, schema: str) -> bool:
        with self.live.cursor() as cursor:
            return bool(tables_in(cursor, schema, [MIGRATIONS_TABLE]))

    def has_promoted(self, keep: str) -> bool:
        return self.in_doubt(keep)

    def _last_number(self, table: str, column: str) -> int | None:
        with self.live.cursor() as cursor:
            return counters.last_number(cursor, table)

    def _advance(
        self, table: str, column: str, given: int, sequences: Sequence[SequenceEntry]
    ) -> None:
        if given:  # after the highest number that was inserted, MariaDB continues by itself
            with self.live.cursor() as cursor:
                counters.advance(cursor, quoted(table), given)

    def sequences(self, tables: Sequence[str]) -> list[SequenceEntry]:
        with self.live.cursor() as cursor:
            return counters.sequences(cursor)

    def advance_free_sequences(self, schema: str, sequences: Sequence[SequenceEntry]) -> None:
        with self._ddl_cursor() as cursor:
            counters.advance_sequences(cursor, self._database, schema, sequences)

    def rehearse_promote(self, tables: Sequence[str]) -> None:
        with self._ddl_cursor() as cursor:
            refuse_what_hangs_on_live(cursor, self._database, tables)

    def rehearse_swap(
        self, schema: str, *, tables: Sequence[str], apps: Sequence[str], stand_in: str, keep: str
    ) -> list[str]:
        rehearsal = Rehearsal(live=self._database, schema=schema, stand_in=stand_in, keep=keep)
        try:
            with self._ddl_cursor() as cursor:
                rehearsal.take_back(cursor, tables)
                rehearsal.refuse_unfit(cursor, tables)
                beside = rehearsal.tables_beside(cursor, tables)
            self.clone(stand_in, [*tables, *beside])
            self.create(keep)
            with self._ddl_cursor() as cursor:
                rehearsal.swap(cursor, tables)
        finally:
            left = [*self.discard(stand_in), *self.discard(keep)]
        return left

    def structure_changes(self, schema: str, tables: Sequence[str]) -> list[str]:
        with self._ddl_cursor() as cursor:
            return recorded_structure.changes(cursor, self._database, schema, tables)

    def accept_structure(self, schema: str) -> None:
        with self._ddl_cursor() as cursor:
            recorded_structure.forget(cursor, schema)

    def promote(
        self,
        schema: str,
        *,
        tables: Sequence[str],
        apps: Sequence[str],
        keep: str,
        record: Callable[[], None],
    ) -> float:
        swap = RenameSwap(live=self._database, schema=schema, keep=keep, tables=tables)
        with self._ddl_cursor() as cursor:
            swap.refuse_what_does_not_fit(cursor)
        try:
            if not self.in_doubt(keep):
                self.create(keep)
                self._merge_migrations(schema, apps)
            return self._swap_with_retries(swap, record)
        finally:
            if not self.in_doubt(keep):
                self.drop(keep)

    def _merge_migrations(self, schema: str, apps: Sequence[str]) -> None:
        """Copy live's rows of all other apps into staging's table of migrations."""
        others = f"app NOT IN ({', '.join(['%s'] * (len(apps) + 1))})"
        given = [*apps, ""]  # an empty list would be invalid SQL
        with self._ddl_cursor(schema) as cursor:
            cursor.execute(f"DELETE FROM {MIGRATIONS_TABLE} WHERE {others}", given)
            cursor.execute(
                f"INSERT INTO {MIGRATIONS_TABLE} (app, name, applied) SELECT app, name, applied"
                f" FROM {quoted(self._database)}.{MIGRATIONS_TABLE} WHERE {others} ORDER BY id",
                given,
            )

    def _swap_with_retries(self, swap: RenameSwap, record: Callable[[], None]) -> float:
        """Swap the tables and commit the record, with a lock retry; return the seconds of the swap.

        `record` checks the lease in a transaction that stays open during the swap, so an attempt
        that lost its lease renames nothing. Each statement of the swap shows the server that the
        client of that transaction is there.
        """

        def and_ask(execute: Callable[..., Any], *statement: Any) -> Any:
            with self.live.cursor() as cursor:
                cursor.execute("SELECT 1")
            return execute(*statement)

        def attempt() -> float:
            with (
                bounded_transaction(self.alias, between="another connection"),
                self._ddl_cursor() as cursor,
                cursor.db.execute_wrapper(and_ask),
            ):
                record()
                counters.keep_going(cursor, self._database, swap.schema, swap.tables)
                began = time.monotonic()
                swap.run(cursor)
                seconds = time.monotonic() - began
                recorded_structure.record(cursor, swap.live, swap.keep, swap.tables)
            return seconds

        return self._retry_lock(attempt)

    def _retry_lock(self, attempt: Callable[[], T]) -> T:
        return retry_lock(
            attempt,
            refused=lambda error: error.args[0] in _LOCK_ERRORS,
            tries=_LOCK_TRIES,
            alias=self.alias,
            transactions="information_schema.innodb_trx",
        )
