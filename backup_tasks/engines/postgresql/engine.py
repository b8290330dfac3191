"""PostgreSQL: staging and undo are schemas beside live's, in the same database."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, ClassVar, TypeVar

import psycopg
import psycopg.errors
from django.db import DatabaseError, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from backup_tasks.engines.base import (
    ExportedSnapshot,
    connection_replaced,
    identifier,
    quoted,
)
from backup_tasks.engines.lock_retry import retry_lock
from backup_tasks.engines.postgresql import (
    bulk_load,
    columns,
    event_triggers,
    fencing,
    inventory,
    lock_table,
    privileges,
    publications,
    recorded_structure,
    row_security,
    sequences,
    snapshots,
    swap,
    table_definitions,
    tenant_schemas,
    views,
)
from backup_tasks.engines.postgresql.counting_engine import CountingEngine
from backup_tasks.engines.postgresql.location import (
    ExpectedLocation,
    find_live_schema,
    live_cursor,
    schema_gone,
    schema_oid,
    tables_elsewhere,
)
from backup_tasks.engines.postgresql.other_aliases import others_read_only
from backup_tasks.engines.postgresql.rehearsal import Rehearsal
from backup_tasks.engines.postgresql.schema_removal import remove_schema
from backup_tasks.engines.postgresql.staging_guard import GuardedConnection, guarded_connection
from backup_tasks.engines.stopped_client import Between, bounded_transaction

_LOCK_TRIES = 15
_LOCK_ERRORS = (
    psycopg.errors.QueryCanceled,
    psycopg.errors.LockNotAvailable,
    psycopg.errors.DeadlockDetected,
)

T = TypeVar("T")


class PostgreSQL(CountingEngine):
    """The engine for PostgreSQL. The time of a promote does not depend on the number of rows."""

    isolation: ClassVar[str] = "repeatable read, read only"
    _load: bulk_load.BulkLoad
    """Inside `loading`."""

    def __init__(self, alias: str) -> None:
        super().__init__(alias)
        tenant_schemas.refuse(self.live, ask=True)
        self._created_oids: dict[str, int | None] = {}
        """The oid of each schema that this engine created, by name. Another attempt may drop it and
        create one of the same name."""
        if isinstance(connection := self.live, GuardedConnection):
            self._live_schema = connection.expected.live_schema
        else:
            with connection.cursor() as cursor:
                self._live_schema = find_live_schema(cursor)

    @classmethod
    def refuse_backend(cls, connection: BaseDatabaseWrapper) -> None:
        tenant_schemas.refuse(connection, ask=False)

    @property
    def _current_schema(self) -> str:
        """The schema that the alias leads to."""
        if isinstance(connection := self.live, GuardedConnection):
            return connection.expected.schema
        return self._live_schema

    def tables_elsewhere(self, tables: Sequence[str]) -> dict[str, str]:
        with self.live.cursor() as cursor:
            return tables_elsewhere(cursor, self._current_schema, tables)

    def _connection(self, schema: str | None = None) -> BaseDatabaseWrapper:
        """Return a new connection like live's, or a guarded one to `schema`."""
        if schema is not None:
            return self._guarded_connection(schema)
        connection = self.live.copy()
        # Django's pool is per alias: it would give connections to live.
        connection.settings_dict["OPTIONS"].pop("pool", None)
        return connection

    def _guarded_connection(self, schema: str) -> GuardedConnection:
        """Return a connection that can't leave the schema. Raises HandoverChanged if it does not
        exist, or another attempt has created it anew."""
        live = self.live
        with live.cursor() as cursor:
            expected = ExpectedLocation.of(cursor, schema, lambda: live_cursor(live))
        if self._created_oids.get(schema, expected.schema_oid) != expected.schema_oid:
            raise schema_gone(schema)
        # Rows that are copied from live then come from one snapshot, so no reference dangles.
        level = psycopg.IsolationLevel.REPEATABLE_READ
        return guarded_connection(live, expected, isolation_level=level)

    @contextmanager
    def snapshot(self, tables: Sequence[str] = ()) -> Iterator[None]:
        with self.live.cursor() as cursor:
            present = table_definitions.tables_in(cursor, self._live_schema, tables)
        locked_tables = [f"{quoted(self._live_schema)}.{quoted(table)}" for table in present]
        with self._snapshot_transaction(self._connection(), locked_tables=locked_tables):
            yield

    def refuse_hidden_rows(self, tables: Sequence[str]) -> None:
        with self.live.cursor() as cursor:
            row_security.refuse_hidden_rows(cursor, self._current_schema, tables)

    @contextmanager
    def _snapshot_transaction(
        self, connection: BaseDatabaseWrapper, *, token: str = "", locked_tables: Sequence[str] = ()
    ) -> Iterator[None]:
        with connection_replaced(self.alias, connection), transaction.atomic(self.alias):
            with connections[self.alias].cursor() as cursor:
                snapshots.begin(cursor, token, locked_tables)
            yield

    def export_snapshot(self, tables: Sequence[str], *, least: int) -> ExportedSnapshot | None:
        with connections[self.alias].cursor() as cursor:
            return snapshots.export(cursor, tables, least)

    @contextmanager
    def join_snapshot(self, token: str, schema: str | None) -> Iterator[None]:
        with self._snapshot_transaction(self._connection(schema), token=token):
            yield

    def schema_name(self, purpose: str, run_id: str) -> str:
        return identifier(purpose, run_id)

    def schemas(self) -> list[str]:
        with self.live.cursor() as cursor:
            return swap.schemas(cursor, self._schema_comment())

    def _schema_comment(self) -> str:
        """The comment that tells staging and undo schemas from others, another project's too."""
        return f"place of backup_tasks for schema {self._live_schema}"

    def create(self, schema: str) -> None:
        def attempt() -> None:
            with self._bounded_transaction() as cursor:
                fencing.terminate_others(cursor, schema)
                cursor.execute(f"SET LOCAL lock_timeout = {swap.LOCK_TIMEOUT_MS}")
                remove_schema(self.alias, schema)

        self._retry_lock(attempt)
        with transaction.atomic(self.alias), self.live.cursor() as cursor:
            swap.create_schema(cursor, schema, self._schema_comment())
            recorded_structure.record(cursor, self._live_schema, schema)
            self._created_oids[schema] = schema_oid(cursor, schema)

    def clone(self, schema: str, tables: Sequence[str]) -> list[str]:
        with self.live.cursor() as cursor:
            lock_table.refuse_too_small(cursor, self._live_schema, tables)
        self.create(schema)
        with self._bounded_transaction() as cursor:
            differences = table_definitions.clone(cursor, self._live_schema, schema, tables)
            # The tables' locks keep others from dropping the schema until the commit.
            if schema_oid(cursor, schema) != self._created_oids[schema]:
                raise schema_gone(schema)
            return differences

    def complete(self, schema: str, tables: Sequence[str]) -> None:
        with self._bounded_transaction() as cursor:
            recorded_structure.record(cursor, self._live_schema, schema)
            table_definitions.complete(cursor, self._live_schema, schema, tables)

    def missing_in(self, schema: str, tables: Sequence[str]) -> list[str]:
        with self._bounded_transaction() as cursor:
            return table_definitions.missing_in(cursor, self._live_schema, schema, tables)

    def differences(self, schema: str, tables: Sequence[str]) -> list[str]:
        with self._bounded_transaction() as cursor:
            return table_definitions.differences(cursor, self._live_schema, schema, tables)

    @contextmanager
    def at(self, schema: str) -> Iterator[None]:
        connection = self._guarded_connection(schema)
        with (
            sequences.repair(self.live, schema, connection),
            connection_replaced(self.alias, connection),
            others_read_only(self.alias),
        ):
            yield
        if connection.refusal:
            raise connection.refusal

    def drop(self, schema: str) -> None:
        remove_schema(self.alias, schema)

    @contextmanager
    def loading(self, tables: Sequence[str], *, attempt: int) -> Iterator[str | None]:
        load = bulk_load.BulkLoad(self.alias, self._current_schema, attempt)
        with self._loading_with(load):
            load.begin(tables)
            yield load.token
            load.end(tables, connections[self.alias].copy)

    @contextmanager
    def join_load(self, token: str, schema: str) -> Iterator[None]:
        with (
            self.at(schema),
            self._loading_with(bulk_load.BulkLoad.join(self.alias, schema, token)),
        ):
            yield

    @contextmanager
    def _loading_with(self, load: bulk_load.BulkLoad) -> Iterator[None]:
        self._load = load
        if isinstance(connection := self.live, GuardedConnection):
            connection.runs_project_code = False  # no code of the project runs
        try:
            yield
        finally:
            if isinstance(connection, GuardedConnection):
                connection.runs_project_code = True
            del self._load

    def write(self, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> int:
        return self._load.write(table, columns, rows)

    def copy_from_live(self, tables: Sequence[str]) -> None:
        self._load.copy(tables, columns.copy_rows, self._live_schema)

    def copy_from_schema(self, schema: str, tables: Sequence[str]) -> None:
        for table in tables:  # one by one: nobody else writes them, and the lock table is finite
            self._load.copy([table], columns.copy_migrated_rows, schema)

    def load_keys(self, table: str, known: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        with connections[self.alias].cursor() as cursor:
            columns.drop_not_null(cursor, self._current_schema, table, known)
        self.write(table, known, rows)

    @contextmanager
    def merge_transaction(self, schema: str, *, writing: Sequence[str] | None) -> Iterator[str]:
        with self._bounded_transaction(between="project code") as cursor:
            if writing is None:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            elif writing:
                self._retry_lock(
                    lambda: swap.lock_against_writes(cursor, self._live_schema, writing)
                )
            cursor.execute("SET LOCAL jit = off")
            cursor.execute(row_security.OFF)
            yield f"{quoted(schema)}."

    @contextmanager
    def _bounded_transaction(self, *, between: Between = "nothing") -> Iterator[Any]:
        """One that locks tables of live, or what was live's."""
        with bounded_transaction(self.alias, between=between), self.live.cursor() as cursor:
            yield cursor

    def _retry_lock(self, attempt: Callable[[], T]) -> T:
        return retry_lock(
            attempt,
            refused=lambda error: isinstance(error.__cause__, _LOCK_ERRORS),
            tries=_LOCK_TRIES,
            alias=self.alias,
            transactions="pg_stat_activity",
        )

    def rehearse_promote(self, tables: Sequence[str]) -> None:
        # A schema that is not live's, and that every database has, in place of staging.
        connection = self._connection("information_schema")
        with connection_replaced(self.alias, connection), transaction.atomic(self.alias):
            privileges.refuse_without(connection, self._live_schema)
        connection = self._connection()
        with connection_replaced(self.alias, connection):
            event_triggers.refuse_harmful(self.alias, partial(live_cursor, connection))
        with self.live.cursor() as cursor:
            inventory.refuse(cursor, self._live_schema, tables, loading=True)
            lock_table.refuse_too_small(cursor, self._live_schema, tables)

    def rehearse_swap(
        self, schema: str, *, tables: Sequence[str], apps: Sequence[str], stand_in: str, keep: str
    ) -> list[str]:
        rehearsal = Rehearsal(self.alias, self._live_schema, schema, stand_in, tables)
        rehearsal.refuse_unfit()
        try:
            self.create(stand_in)
            rehearsal.make_stand_in()
            comment = self._schema_comment()
            self._retry_lock(lambda: rehearsal.swap(apps, keep, comment))
        finally:
            left = self.discard(stand_in)
        return left

    def structure_changes(self, schema: str, tables: Sequence[str]) -> list[str]:
        with self._bounded_transaction() as cursor:
            return recorded_structure.changes(cursor, self._live_schema, schema, tables)

    def accept_structure(self, schema: str) -> None:
        with self._bounded_transaction() as cursor:
            recorded_structure.forget(cursor, schema)

    def refresh_views(self, tables: Sequence[str]) -> list[str]:
        return views.refresh_others(self.alias, self._live_schema, tables)

    def publications(self, tables: Sequence[str]) -> list[str]:
        return publications.names(self.alias, self._live_schema, tables)

    def promote(
        self,
        schema: str,
        *,
        tables: Sequence[str],
        apps: Sequence[str],
        keep: str,
        record: Callable[[], None],
    ) -> float:
        with self._bounded_transaction() as cursor:
            swap.refuse_unfit(cursor, self._live_schema, schema, tables)
            swap.prepare(self.alias, cursor, self._live_schema, schema, tables)

        def attempt() -> float:
            with self._bounded_transaction() as cursor:
                swap.refuse_what_does_not_fit(cursor, self._live_schema, schema, tables)
                record()
                began = time.monotonic()
                swap.create_schema(cursor, keep, self._schema_comment())
                swap.replace_live(cursor, self._live_schema, schema, tables, apps=apps, keep=keep)
            return time.monotonic() - began

        seconds = self._retry_lock(attempt)
        with suppress(DatabaseError), self._bounded_transaction() as cursor:
            recorded_structure.record_marked(cursor, self._live_schema, keep)
        return seconds
