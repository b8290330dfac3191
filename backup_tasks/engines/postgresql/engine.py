"""PostgreSQL: a place is a schema beside the live one, in the same database."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar, TypeVar

import psycopg
import psycopg.errors
from django.db import IntegrityError, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from backup_tasks.engines.base import (
    ExportedSnapshot,
    MergingEngine,
    connection_replaced,
    identifier,
    quoted,
)
from backup_tasks.engines.lock_retry import retry_lock
from backup_tasks.engines.postgresql import (
    bulk_load,
    columns,
    privileges,
    sequences,
    snapshots,
    table_definitions,
    views,
)
from backup_tasks.engines.postgresql.bulk_load import BulkLoad
from backup_tasks.engines.postgresql.schema_removal import remove_schema
from backup_tasks.engines.postgresql.staging_guard import Expected, GuardedConnection, connection_to
from backup_tasks.errors import DoesNotFit

_LOCK_TIMEOUT_MS = 500
"""For all tables together. Below deadlock_timeout (1 s), after which the server would end a client
that waits for a table that is locked already and holds one that is not."""
_LOCK_TRIES = 15
_REFUSED = (
    psycopg.errors.QueryCanceled,
    psycopg.errors.LockNotAvailable,
    psycopg.errors.DeadlockDetected,
)

T = TypeVar("T")


class PostgreSQL(MergingEngine):
    """Promote moves tables between schemas: its time does not depend on how much they hold."""

    isolation: ClassVar[str] = "repeatable read, read only"
    _load: BulkLoad
    """Inside `loading`."""

    def __init__(self, alias: str) -> None:
        super().__init__(alias)
        with self.live.cursor() as cursor:
            cursor.execute("SELECT current_schema()")
            (self._live_schema,) = cursor.fetchone()

    def _connection(self, schema: str | None = None) -> BaseDatabaseWrapper:
        """A new connection like the live one; one that can't leave a schema if one is given.

        Raises HandoverChanged if there is no such schema.
        """
        live = self.live
        if schema is None:
            connection = live.copy()
            # A pool hands out connections by alias: live ones.
            connection.settings_dict["OPTIONS"].pop("pool", None)
            return connection
        with live.cursor() as cursor:
            expected = Expected.of(cursor, schema, lambda: _at_live(live))
        # What is carried over is of one moment: no row comes without one that it refers to.
        level = psycopg.IsolationLevel.REPEATABLE_READ
        return connection_to(live, expected, isolation_level=level)

    @contextmanager
    def snapshot(self, tables: Sequence[str] = ()) -> Iterator[None]:
        with self.live.cursor() as cursor:
            there = table_definitions.tables_in(cursor, self._live_schema, tables)
        held = [f"{quoted(self._live_schema)}.{quoted(table)}" for table in there]
        with self._reading(self._connection(), held=held):
            yield

    @contextmanager
    def _reading(
        self, connection: BaseDatabaseWrapper, *, token: str = "", held: Sequence[str] = ()
    ) -> Iterator[None]:
        with connection_replaced(self.alias, connection), transaction.atomic(self.alias):
            with connections[self.alias].cursor() as cursor:
                snapshots.begin(cursor, token, held)
            yield

    def export_snapshot(self, tables: Sequence[str], *, least: int) -> ExportedSnapshot | None:
        with connections[self.alias].cursor() as cursor:
            return snapshots.share(cursor, tables, least)

    @contextmanager
    def join_snapshot(self, token: str, schema: str | None) -> Iterator[None]:
        with self._reading(self._connection(schema), token=token):
            yield

    def schema_name(self, purpose: str, run_id: str) -> str:
        return identifier(purpose, run_id)

    def schemas(self) -> list[str]:
        with self.live.cursor() as cursor:
            cursor.execute(
                "SELECT nspname FROM pg_namespace"
                " WHERE obj_description(oid, 'pg_namespace') = %s ORDER BY nspname",
                [self._mark()],
            )
            return [name for (name,) in cursor.fetchall()]

    def _mark(self) -> str:
        """What tells our schemas from everybody else's, another project's places included (P2)."""
        return f"place of backup_tasks for schema {self._live_schema}"

    def create(self, schema: str) -> None:
        self.drop(schema)
        with transaction.atomic(self.alias), self.live.cursor() as cursor:
            self._create_schema(cursor, schema)

    def _create_schema(self, cursor: Any, schema: str) -> None:
        cursor.execute(f"CREATE SCHEMA {quoted(schema)}")
        mark = self._mark().replace("'", "''")
        cursor.execute(f"COMMENT ON SCHEMA {quoted(schema)} IS '{mark}'")

    def clone(self, schema: str, tables: Sequence[str]) -> list[str]:
        self.create(schema)
        with transaction.atomic(self.alias), self.live.cursor() as cursor:
            table_definitions.copy(
                cursor, self._live_schema, schema, [*tables, "django_migrations"]
            )
            cursor.execute(
                f"INSERT INTO {quoted(schema)}.django_migrations OVERRIDING SYSTEM VALUE"
                f" SELECT * FROM {quoted(self._live_schema)}.django_migrations"
            )
            return table_definitions.differences(cursor, self._live_schema, schema, tables)

    @contextmanager
    def at(self, schema: str) -> Iterator[None]:
        live, connection = self.live, self._connection(schema)
        assert isinstance(connection, GuardedConnection)
        with live.cursor() as cursor:
            counted = sequences.outside(cursor, schema)
        try:
            with connection_replaced(self.alias, connection):
                yield
        finally:
            if connection.sequences_outside:
                with live.cursor() as cursor:
                    sequences.put_right(cursor, connection.sequences_outside, counted)
        if connection.refusal:
            raise connection.refusal

    def drop(self, schema: str) -> None:
        remove_schema(self.alias, schema)

    @contextmanager
    def loading(self, tables: Sequence[str], *, attempt: int) -> Iterator[str | None]:
        load = BulkLoad(self.alias, attempt)
        load.begin(tables)
        with self._filling_by(load):
            yield load.token
        load.end(tables, connections[self.alias].copy)

    @contextmanager
    def join_load(self, token: str, schema: str) -> Iterator[None]:
        with self.at(schema), self._filling_by(BulkLoad.joined(self.alias, token)):
            yield

    @contextmanager
    def _filling_by(self, load: BulkLoad) -> Iterator[None]:
        self._load = load
        try:
            yield
        finally:
            del self._load

    def write(self, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> int:
        return self._load.write(table, columns, rows)

    def copy_from_live(self, tables: Sequence[str]) -> None:
        if not tables:
            return
        with self._load.filling(tables) as cursor:
            for table in tables:
                names = columns.writable(cursor, table)
                cursor.execute(
                    f"INSERT INTO {quoted(table)} ({names}) OVERRIDING SYSTEM VALUE"
                    f" SELECT {names} FROM {quoted(self._live_schema)}.{quoted(table)}"
                )

    def load_keys(self, table: str, known: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        with connections[self.alias].cursor() as cursor:
            columns.let_be_null(cursor, table, known)
        self.write(table, known, rows)

    @contextmanager
    def merge_transaction(self, schema: str, *, writing: Sequence[str] | None) -> Iterator[str]:
        with transaction.atomic(self.alias), self.live.cursor() as cursor:
            if writing is None:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            elif writing:
                self._keep_writers_out(cursor, writing)
            cursor.execute("SET LOCAL jit = off")
            yield f"{quoted(schema)}."

    def _keep_writers_out(self, cursor: Any, tables: Sequence[str]) -> None:
        names = ", ".join(map(quoted, tables))

        def attempt() -> None:
            with transaction.atomic(self.alias):
                cursor.execute(f"SET LOCAL lock_timeout = {_LOCK_TIMEOUT_MS}")
                cursor.execute(f"LOCK TABLE {names} IN SHARE ROW EXCLUSIVE MODE")
                cursor.execute("SET LOCAL lock_timeout TO DEFAULT")

        self._retry_lock(attempt)

    def _retry_lock(self, attempt: Callable[[], T]) -> T:
        return retry_lock(
            attempt,
            refused=lambda error: isinstance(error.__cause__, _REFUSED),
            tries=_LOCK_TRIES,
            alias=self.alias,
            transactions="pg_stat_activity",
        )

    def _advance_sequence(self, table: str, column: str) -> None:
        with self.live.cursor() as cursor:
            columns.advance_sequences(cursor, table, column)

    def promote(
        self,
        schema: str,
        *,
        tables: Sequence[str],
        apps: Sequence[str],
        keep: str,
        record: Callable[[], None],
    ) -> float:
        with transaction.atomic(self.alias), self.live.cursor() as cursor:
            bulk_load.refuse_unfinished(cursor, schema)
            views.build(self.alias, cursor, self._live_schema, schema, tables)
        return self._retry_lock(lambda: self._swap(schema, tables, apps, keep, record))

    def _swap(
        self,
        schema: str,
        tables: Sequence[str],
        apps: Sequence[str],
        keep: str,
        record: Callable[[], None],
    ) -> float:
        with transaction.atomic(self.alias), self.live.cursor() as cursor:
            record()
            live, began = self._live_schema, time.monotonic()
            there = table_definitions.tables_in(cursor, live, tables)
            shown = views.over(cursor, live, there)
            stored = [view.name for view in shown if view.materialized]
            self._create_schema(cursor, keep)
            # First, since who reads one of these waits for no table.
            cursor.execute(f"SET LOCAL lock_timeout = {_LOCK_TIMEOUT_MS}")
            for name in stored:
                _move(cursor, live, name, keep)
            plain = [view.full_name for view in shown if not view.materialized]
            _lock(cursor, live, [*there, *_neighbours(cursor, live, there)], after=plain)
            again = _keys_to_add(
                _drop_keys_across_swap(cursor, live, there),
                _drop_keys_across_swap(cursor, schema, tables),
                tables,
            )
            for name in there:
                _move(cursor, live, name, keep)
            for name in (*tables, *stored):
                if name in there or name in stored:
                    privileges.copy(cursor, f"{quoted(keep)}.{quoted(name)}", schema, name)
                _move(cursor, schema, name, live)
            cursor.execute("SELECT set_config('search_path', %s, true)", [quoted(live)])
            _add_keys_across_swap(cursor, again, self.alias)
            views.renew(cursor, shown)
            _keep_migrations(cursor, live, schema, keep, apps)
        return time.monotonic() - began


@contextmanager
def _at_live(like: BaseDatabaseWrapper) -> Iterator[Any]:
    """Give a cursor of a new connection, in no transaction."""
    connection = like.copy()
    connection.settings_dict["OPTIONS"].pop("pool", None)
    try:
        with connection.cursor() as cursor:
            yield cursor
    finally:
        connection.close()


def _neighbours(cursor: Any, schema: str, tables: Sequence[str]) -> list[str]:
    """Return the other tables of the schema that foreign keys lead to, or come from."""
    cursor.execute(
        "SELECT DISTINCT n.relname FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid"
        " JOIN pg_class o ON o.oid = k.confrelid JOIN pg_class n ON n.oid IN (c.oid, o.oid)"
        " WHERE k.contype = 'f' AND c.relnamespace = %s::regnamespace"
        " AND o.relnamespace = c.relnamespace AND NOT n.relname = ANY(%s)"
        " AND (c.relname = ANY(%s) OR o.relname = ANY(%s)) ORDER BY n.relname",
        [quoted(schema), *[list(tables)] * 3],
    )
    return [name for (name,) in cursor.fetchall()]


def _lock(cursor: Any, schema: str, tables: Sequence[str], after: Sequence[str]) -> None:
    """Lock all tables that change, in one statement: nothing is waited for after it. Views over
    them come first, as they do when a client reads one."""
    if not tables:
        return
    names = ", ".join([*after, *(f"{quoted(schema)}.{quoted(name)}" for name in tables)])
    cursor.execute(f"SET LOCAL statement_timeout = {_LOCK_TIMEOUT_MS}")
    cursor.execute(f"LOCK TABLE {names} IN ACCESS EXCLUSIVE MODE")
    cursor.execute("SET LOCAL statement_timeout TO DEFAULT")


def _drop_keys_across_swap(
    cursor: Any, schema: str, tables: Sequence[str]
) -> list[tuple[str, str]]:
    """Drop the foreign keys between the tables and those that stay where they are; return the table
    of each, and the statement that fastens it again, by name, once the tables have moved."""
    cursor.execute("SELECT set_config('search_path', %s, true)", [quoted(schema)])
    cursor.execute(
        "SELECT c.relname, k.conname, pg_get_constraintdef(k.oid) FROM pg_constraint k"
        " JOIN pg_class c ON c.oid = k.conrelid JOIN pg_class o ON o.oid = k.confrelid"
        " WHERE k.contype = 'f' AND c.relnamespace = %s::regnamespace"
        " AND o.relnamespace = c.relnamespace"
        " AND (c.relname = ANY(%s)) <> (o.relname = ANY(%s))",
        [quoted(schema), list(tables), list(tables)],
    )
    again = []
    for table, name, definition in cursor.fetchall():
        alter = f"ALTER TABLE {quoted(table)}"
        cursor.execute(f"{alter} DROP CONSTRAINT {quoted(name)}")
        again.append((table, f"{alter} ADD CONSTRAINT {quoted(name)} {definition}"))
    return again


def _keys_to_add(
    of_live: Sequence[tuple[str, str]], of_place: Sequence[tuple[str, str]], tables: Sequence[str]
) -> list[str]:
    """Return the foreign keys to fasten: those of live's tables that stay, and those that the new
    tables brought. A kept table has none any more: it takes those of the one it replaces."""
    brought = {table for table, _ in of_place if table in tables}
    return [sql for table, sql in of_live if table not in brought] + [
        sql for table, sql in of_place if table in brought
    ]


def _add_keys_across_swap(cursor: Any, statements: Sequence[str], alias: str) -> None:
    try:
        for statement in statements:
            cursor.execute(statement)
    except IntegrityError as error:
        raise DoesNotFit(
            f"rows of tables that the package does not hold would refer to nothing: {error}",
            obj=f"database {alias}",
            hint="Restore a package that holds these rows, or remove the rows that refer to them.",
        ) from error


def _move(cursor: Any, source: str, table: str, target: str) -> None:
    cursor.execute(f"ALTER TABLE {quoted(source)}.{quoted(table)} SET SCHEMA {quoted(target)}")


def _keep_migrations(cursor: Any, live: str, schema: str, keep: str, apps: Sequence[str]) -> None:
    """Take over the record of applied migrations with the tables, and keep the old one."""
    mine = f"{quoted(live)}.django_migrations"
    cursor.execute(f"CREATE TABLE {quoted(keep)}.django_migrations AS SELECT * FROM {mine}")
    cursor.execute(f"DELETE FROM {mine} WHERE app = ANY(%s)", [list(apps)])
    cursor.execute(
        f"INSERT INTO {mine} (app, name, applied) SELECT app, name, applied"
        f" FROM {quoted(schema)}.django_migrations WHERE app = ANY(%s) ORDER BY id",
        [list(apps)],
    )
