"""SQLite: staging and undo schemas are files beside the live one."""

from __future__ import annotations

import os
import re
import stat
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

from django.db import OperationalError, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from backup_tasks.engines.base import (
    PURPOSES,
    Engine,
    connection_replaced,
    identifier,
    quoted,
)
from backup_tasks.engines.live_structure import lacks_columns
from backup_tasks.engines.sqlite import counters, promoted_mark, recorded_structure
from backup_tasks.engines.sqlite.connections import StagingConnection, connection_to, file_uri
from backup_tasks.engines.sqlite.rows import emptied
from backup_tasks.engines.sqlite.schema import columns, missing_in, objects
from backup_tasks.engines.sqlite.swap import Swap, constraints_explained, refuse_virtual_tables
from backup_tasks.engines.sqlite.texts import insert_any_text, reading_any_text
from backup_tasks.engines.sqlite.virtual_tables import VirtualTables
from backup_tasks.errors import LockNotGranted
from backup_tasks.package.entries import SequenceEntry
from backup_tasks.storage.disk_space import Need

_SIDE_FILES = ("", "-wal", "-shm", "-journal")


class SQLite(Engine):
    """Promote copies the tables within one transaction of the live file."""

    isolation: ClassVar[str] = "one read transaction"
    keeps_live_tables: ClassVar[bool] = True

    def __init__(self, alias: str) -> None:
        super().__init__(alias)
        self._live = Path(str(self.live.settings_dict["NAME"])).absolute()

    @contextmanager
    def _connection(self, file: str | Path, *pragmas: str) -> Iterator[BaseDatabaseWrapper]:
        """Open a connection to a file like live's, that reads values as they are stored."""
        connection = connection_to(self.live, file, *pragmas)
        connection.settings_dict["OPTIONS"]["detect_types"] = 0  # no converters of Django's (T29)
        try:
            yield connection
        finally:
            connection.close()

    def _virtual_tables(self, file: str | Path, tables: Sequence[str]) -> VirtualTables:
        with self._connection(file, "query_only = ON") as connection:
            return VirtualTables(connection, tables)

    def missing_file(self) -> Path | None:
        in_memory: bool = self.live.is_in_memory_db()  # type: ignore[attr-defined]
        is_there = in_memory or (self._live.is_file() and self._live.stat().st_size)
        return None if is_there else self._live

    @contextmanager
    def snapshot(self, tables: Sequence[str] = ()) -> Iterator[None]:
        connection = connection_to(self.live, self._live, "query_only = ON")
        with connection_replaced(self.alias, connection), transaction.atomic(self.alias):
            with connection.cursor() as cursor:  # the first read begins it
                cursor.execute("SELECT count(*) FROM sqlite_master")
            yield

    def schema_name(self, purpose: str, run_id: str) -> str:
        return f"{self._live}.{identifier(purpose, run_id)}"

    def schemas(self) -> list[str]:
        name = re.compile(
            rf"{re.escape(self._live.name)}\.({'|'.join(PURPOSES)})_[a-z]+_[0-9]{{8}}t[0-9]{{6}}_"
            "[a-z0-9_]+"
        )
        return sorted(
            str(path) for path in self._live.parent.iterdir() if name.fullmatch(path.name)
        )

    def disk_space_needed(self, rows: int) -> Need | None:
        # Staging takes the rows; the undo schema takes all of live without its free pages. Lines of
        # JSON are at most about four times as long as rows in a table.
        with self.live.cursor() as cursor:
            sizes = [
                cursor.execute(f"PRAGMA {name}").fetchone()[0]
                for name in ("page_count", "freelist_count", "page_size")
            ]
        used = (sizes[0] - sizes[1]) * sizes[2]
        return Need(
            what="staging and the old tables", folder=self._live.parent, size=rows // 4 + used
        )

    def create(self, schema: str) -> None:
        self.drop(schema)
        self._create_file(schema)
        with self._connection(schema) as connection:
            connection.ensure_connection()

    def clone(self, schema: str, tables: Sequence[str]) -> list[str]:
        self.create(schema)
        with self._connection(schema) as copy, copy.cursor() as cursor:
            cursor.execute("ATTACH DATABASE %s AS live", [file_uri(self._live, "ro")])
            wanted = objects(cursor, "live")
            cursor.execute("PRAGMA foreign_keys = OFF")
            cursor.execute("BEGIN")
            for each in wanted:
                cursor.execute(each.sql)
            cursor.execute(
                "INSERT INTO main.django_migrations SELECT * FROM live.django_migrations"
            )
            cursor.execute("COMMIT")
            made = objects(cursor, "main")
        return [f"made otherwise: {each.sql}" for each in wanted if each not in made]

    def missing_in(self, schema: str, tables: Sequence[str]) -> list[str]:
        with self._reading(self._live, schema, "query_only = ON") as cursor:
            return missing_in(cursor, "source", tables)

    @contextmanager
    def at(self, schema: str) -> Iterator[None]:
        # A resumed run continues with the staging file, and promote takes indexes from it. So a
        # crash in a transaction must be rolled back there, which needs a journal on the disk.
        pragmas = ("journal_mode = DELETE", "synchronous = NORMAL")
        staging = StagingConnection(connection_to(self.live, schema, *pragmas))
        with connection_replaced(self.alias, staging.connection), staging.watched(self.alias):
            yield

    def _create_file(self, schema: str) -> None:
        """Create an empty file with live's mode, because SQLite would create it with the umask's.
        SQLite takes an empty file for a new database, and gives its mode to journal files."""
        live = self._live.stat()
        descriptor = os.open(schema, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            if os.geteuid() == 0:  # root runs the command, and live's owner uses the file
                os.fchown(descriptor, live.st_uid, live.st_gid)
            os.fchmod(descriptor, stat.S_IMODE(live.st_mode))
        finally:
            os.close(descriptor)

    def drop(self, schema: str) -> None:
        for suffix in _SIDE_FILES:
            Path(schema + suffix).unlink(missing_ok=True)

    @contextmanager
    def loading(self, tables: Sequence[str], *, attempt: int) -> Iterator[None]:
        connection = connections[self.alias]
        virtual = self._virtual_tables(connection.settings_dict["NAME"], tables)
        connection.disable_constraint_checking()
        with (
            transaction.atomic(self.alias),
            connection.cursor() as cursor,
            emptied(cursor, tables, virtual),
        ):
            yield
        connection.enable_constraint_checking()

    def write(self, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> int:
        return insert_any_text(connections[self.alias], table, columns, rows)

    def copy_from_live(self, tables: Sequence[str]) -> None:
        self._copy_from(self._live, tables)

    def copy_from_schema(self, schema: str, tables: Sequence[str]) -> None:
        self._copy_from(schema, tables)

    def _copy_from(self, file: str | Path, tables: Sequence[str]) -> None:
        # Not ATTACH: a table name that staging lacks would then mean live's table.
        with (
            self._connection(file, "query_only = ON") as source,
            source.cursor() as cursor,
            connections[self.alias].cursor() as staging,
        ):
            cursor.execute("BEGIN")  # one snapshot
            for table in tables:
                names = columns(cursor, table)
                if lost := [name for name in names if name not in columns(staging, table)]:
                    raise lacks_columns(table, lost)
                listed = ", ".join(map(quoted, names))
                cursor.execute(f"SELECT {listed} FROM {quoted(table)}")
                self.write(table, names, cursor)
            cursor.execute("ROLLBACK")

    def load_keys(self, table: str, known: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        with connections[self.alias].cursor() as cursor:
            described = cursor.execute(f"PRAGMA table_xinfo({quoted(table)})").fetchall()
            bare = (
                f"{quoted(name)} {kind}" + (" PRIMARY KEY" if name == known[0] else "")
                for _, name, kind, *_ in described
            )
            cursor.execute(f"DROP TABLE {quoted(table)}")
            cursor.execute(f"CREATE TABLE {quoted(table)} ({', '.join(bare)})")
        self.write(table, known, rows)

    @contextmanager
    def merge_transaction(self, schema: str, *, writing: Sequence[str] | None) -> Iterator[str]:
        with self._attached(schema, "rw") as cursor, transaction.atomic(self.alias):
            cursor.execute("PRAGMA defer_foreign_keys = ON")
            if writing is not None:
                self._lock(cursor)
            yield "source."

    @contextmanager
    def _attached(self, schema: str, mode: str) -> Iterator[Any]:
        """Attach the file to live's connection as `source`, and return a cursor."""
        live = self.live
        live.ensure_connection()
        with reading_any_text(live.connection), live.cursor() as cursor:
            cursor.execute("ATTACH DATABASE %s AS source", [file_uri(schema, mode)])
            try:
                yield cursor
            finally:
                cursor.execute("DETACH DATABASE source")

    def _lock(self, cursor: Any) -> None:
        """Take the write lock. Raises LockNotGranted."""
        with _locks_explained(self._live):
            cursor.execute("DELETE FROM django_migrations WHERE 0")

    def has_promoted(self, keep: str) -> bool:
        return promoted_mark.is_there(self.live, keep)  # the file `keep` comes before the commit

    def mark_promoted(self, keep: str) -> None:
        promoted_mark.write(self.live, keep)

    def forget_promoted(self, keep: str) -> None:
        promoted_mark.remove(self.live)

    def _last_number(self, table: str, column: str) -> int | None:
        with self.live.cursor() as cursor:
            return counters.last_number(cursor, table)

    def _advance(
        self, table: str, column: str, given: int, sequences: Sequence[SequenceEntry]
    ) -> None:
        with self.live.cursor() as cursor:
            counters.advance(cursor, table, given)

    def rehearse_promote(self, tables: Sequence[str]) -> None:
        refuse_virtual_tables(self._virtual_tables(self._live, tables), self.alias)

    def rehearse_swap(
        self, schema: str, *, tables: Sequence[str], apps: Sequence[str], stand_in: str, keep: str
    ) -> list[str]:
        with self._reading(self._live, schema, "query_only = ON") as cursor:
            self._swap(cursor, self._live, schema, tables, apps).refuse_unfit(self.alias)
        try:
            self.clone(stand_in, tables)
            # Nobody needs it after a crash.
            pragmas = ("journal_mode = MEMORY", "synchronous = OFF", "foreign_keys = OFF")
            with self._reading(stand_in, schema, *pragmas) as cursor:
                cursor.execute("BEGIN")
                with constraints_explained(self.alias):
                    self._swap(cursor, stand_in, schema, tables, apps).run()
                cursor.execute("COMMIT")
        finally:
            left = self.discard(stand_in)
        return left

    def structure_changes(self, schema: str, tables: Sequence[str]) -> list[str]:
        with self._reading(self._live, schema, "query_only = ON") as cursor:
            return recorded_structure.changes(cursor, tables)

    def accept_structure(self, schema: str) -> None:
        with self._connection(schema) as connection, connection.cursor() as cursor:
            recorded_structure.accept(cursor)

    @contextmanager
    def _reading(self, file: str | Path, schema: str, *pragmas: str) -> Iterator[Any]:
        """Open a file, attach the schema to it as `source`, and return a cursor."""
        with self._connection(file, *pragmas) as connection, connection.cursor() as cursor:
            cursor.execute("ATTACH DATABASE %s AS source", [file_uri(schema, "ro")])
            yield cursor

    def _swap(
        self,
        cursor: Any,
        live: str | Path,
        schema: str,
        tables: Sequence[str],
        apps: Sequence[str],
    ) -> Swap:
        return Swap(
            cursor,
            tables=tables,
            apps=apps,
            live=self._virtual_tables(live, tables),
            source=self._virtual_tables(schema, tables),
            model_tables=self.live.introspection.django_table_names(),
        )

    def promote(
        self,
        schema: str,
        *,
        tables: Sequence[str],
        apps: Sequence[str],
        keep: str,
        record: Callable[[], None],
    ) -> float:
        with self._attached(schema, "ro") as cursor:
            cursor.execute("PRAGMA foreign_keys = OFF")
            try:
                with _locks_explained(self._live), transaction.atomic(self.alias):
                    cursor.execute("DELETE FROM django_migrations WHERE 0")  # takes the write lock
                    began = time.monotonic()
                    record()
                    swap = self._swap(cursor, self._live, schema, tables, apps)
                    swap.refuse_unfit(self.alias)
                    self._keep(keep)
                    with constraints_explained(self.alias):
                        swap.run()
                    with self._connection(keep) as kept, kept.cursor() as its_cursor:
                        recorded_structure.record(its_cursor, objects(cursor))
                return time.monotonic() - began
            finally:
                cursor.execute("PRAGMA foreign_keys = ON")

    def _keep(self, keep: str) -> None:
        """Copy the live file while this connection holds the write lock. The copy is made durable
        before live is changed, because a commit over two files is not atomic in WAL mode."""
        self.drop(keep)
        self._create_file(keep)
        with self._connection(self._live) as reader, reader.cursor() as cursor:
            cursor.execute("VACUUM INTO %s", [keep])
        for path in (keep, str(Path(keep).parent)):
            descriptor = os.open(path, os.O_RDONLY)
            os.fsync(descriptor)
            os.close(descriptor)


@contextmanager
def _locks_explained(live: Path) -> Iterator[None]:
    """Raise LockNotGranted if others keep the database locked."""
    try:
        yield
    except OperationalError as error:
        if "locked" not in str(error):
            raise
        raise LockNotGranted("other programs kept the database locked", obj=str(live)) from error
