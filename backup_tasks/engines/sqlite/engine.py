"""SQLite: a place is a second file beside the live one."""

from __future__ import annotations

import os
import re
import sqlite3
import stat
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, ClassVar

from django.db import OperationalError, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from backup_tasks.engines.base import MergingEngine, connection_replaced, identifier, insert, quoted
from backup_tasks.errors import DoesNotFit, LockNotGranted
from backup_tasks.storage.disk_space import Need

_SIDE_FILES = ("", "-wal", "-shm", "-journal")


class SQLite(MergingEngine):
    """Promote copies the tables within one transaction of the live file."""

    isolation: ClassVar[str] = "one read transaction"

    def __init__(self, alias: str) -> None:
        super().__init__(alias)
        self._live = Path(str(self.live.settings_dict["NAME"])).absolute()

    def _connection(self, file: str | Path, *pragmas: str) -> BaseDatabaseWrapper:
        """A new connection like the live one, but without its way to begin a transaction."""
        connection = self.live.copy()
        connection.settings_dict["NAME"] = str(file)
        connection.settings_dict["OPTIONS"].pop("transaction_mode", None)
        connection.settings_dict["OPTIONS"].pop("init_command", None)
        connection.connect()
        with connection.cursor() as cursor:
            for pragma in pragmas:
                cursor.execute(f"PRAGMA {pragma}")
        return connection

    def missing_file(self) -> Path | None:
        in_memory: bool = self.live.is_in_memory_db()  # type: ignore[attr-defined]
        is_there = in_memory or (self._live.is_file() and self._live.stat().st_size)
        return None if is_there else self._live

    @contextmanager
    def snapshot(self, tables: Sequence[str] = ()) -> Iterator[None]:
        connection = self._connection(self._live, "query_only = ON")
        with connection_replaced(self.alias, connection), transaction.atomic(self.alias):
            with connection.cursor() as cursor:  # the first read is what begins it
                cursor.execute("SELECT count(*) FROM sqlite_master")
            yield

    def schema_name(self, purpose: str, run_id: str) -> str:
        return f"{self._live}.{identifier(purpose, run_id)}"

    def schemas(self) -> list[str]:
        name = re.compile(
            re.escape(self._live.name) + r"\.(staging|undo)_[a-z]+_[0-9]{8}t[0-9]{6}_[a-z0-9_]+"
        )
        return sorted(
            str(path) for path in self._live.parent.iterdir() if name.fullmatch(path.name)
        )

    def disk_space_needed(self, rows: int) -> Need | None:
        # The rows once in staging; all of live once more, free pages apart, when it is kept. As
        # lines of JSON the rows are at most about four times as long as in a table.
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
        self._reserve(schema)
        self._connection(schema).close()

    def clone(self, schema: str, tables: Sequence[str]) -> list[str]:
        self.create(schema)
        with closing(sqlite3.connect(schema)) as copy:
            copy.execute("ATTACH DATABASE ? AS live", [str(self._live)])
            statements = [sql for name in tables for sql in _made_by(copy, "live", name)]
            migrations = _made_by(copy, "live", "django_migrations")
            rows = copy.execute("SELECT * FROM live.django_migrations").fetchall()
            copy.execute("DETACH DATABASE live")
            with copy:
                for sql in (*statements, *migrations):
                    copy.execute(sql)
                copy.executemany("INSERT INTO django_migrations VALUES (?, ?, ?, ?)", rows)
            copied = [sql for name in tables for sql in _made_by(copy, "main", name)]
        return [f"made otherwise: {sql}" for sql in sorted(set(statements) ^ set(copied))]

    @contextmanager
    def at(self, schema: str) -> Iterator[None]:
        # A resumed run goes on with the staging that it finds, and promote takes indexes over from
        # it: a transaction that was cut off must be undone there as in live. So the journal is on
        # the disk.
        connection = self._connection(schema, "journal_mode = DELETE", "synchronous = NORMAL")
        with connection_replaced(self.alias, connection):
            yield

    def _reserve(self, schema: str) -> None:
        """Make an empty file there that nobody can read who can't read live: SQLite would make one
        that the umask decides on. It gives its own mode to the files beside it, and takes an empty
        one for a new database."""
        live = self._live.stat()
        descriptor = os.open(schema, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            if os.geteuid() == 0:  # a command that root runs: live's owner goes on with the file
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
        connection.disable_constraint_checking()
        with transaction.atomic(self.alias), connection.cursor() as cursor:
            put_aside = list(_indexes_and_triggers(cursor, "main", tables))
            for kind, name, _ in put_aside:
                cursor.execute(f"DROP {kind} {quoted(name)}")
            for table in tables:
                cursor.execute(f"DELETE FROM {quoted(table)}")
            yield
            for _, _, sql in put_aside:
                cursor.execute(sql)
        connection.enable_constraint_checking()

    def write(self, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> int:
        return insert(connections[self.alias], quoted(table), map(quoted, columns), rows)

    def copy_from_live(self, tables: Sequence[str]) -> None:
        # A connection of its own: with live attached, a name that staging lacks would reach it.
        uri = f"{self._live.as_uri()}?mode=ro"
        with closing(sqlite3.connect(uri, uri=True, isolation_level=None)) as live:
            live.execute("BEGIN")  # all of one moment
            for table in tables:
                columns = _columns(live, table)
                names = ", ".join(map(quoted, columns))
                self.write(table, columns, live.execute(f"SELECT {names} FROM {quoted(table)}"))

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
        live = self.live
        live.ensure_connection()
        with live.cursor() as cursor:
            cursor.execute("ATTACH DATABASE %s AS source", [_existing(schema)])
            try:
                with transaction.atomic(self.alias):
                    cursor.execute("PRAGMA defer_foreign_keys = ON")
                    if writing is not None:
                        self._lock(cursor)
                    yield "source."
            finally:
                cursor.execute("DETACH DATABASE source")

    def _lock(self, cursor: Any) -> None:
        """Take the write lock. Raises LockNotGranted."""
        try:
            cursor.execute("DELETE FROM django_migrations WHERE 0")
        except OperationalError as error:
            if "locked" not in str(error):
                raise
            raise LockNotGranted(
                "other programs kept the database locked", obj=str(self._live)
            ) from error

    def _advance_sequence(self, table: str, column: str) -> None:
        """SQLite counts on from the highest number that was inserted."""

    def promote(
        self,
        schema: str,
        *,
        tables: Sequence[str],
        apps: Sequence[str],
        keep: str,
        record: Callable[[], None],
    ) -> float:
        live = self.live
        live.ensure_connection()
        with live.cursor() as cursor:
            cursor.execute("ATTACH DATABASE %s AS source", [_existing(schema)])
            cursor.execute("PRAGMA foreign_keys = OFF")
            try:
                with transaction.atomic(self.alias):
                    cursor.execute("DELETE FROM django_migrations WHERE 0")  # takes the write lock
                    began = time.monotonic()
                    record()
                    self._keep(keep)
                    lost = _lost_references(cursor, tables)
                    for table in tables:
                        _replace_table(cursor, table)
                    _refuse_more(lost, _lost_references(cursor, tables), self.alias)
                    _replace_migrations(cursor, apps)
                return time.monotonic() - began
            except OperationalError as error:
                if "locked" not in str(error):
                    raise
                raise LockNotGranted(
                    "other programs kept the database locked", obj=str(self._live)
                ) from error
            finally:
                cursor.execute("DETACH DATABASE source")
                cursor.execute("PRAGMA foreign_keys = ON")

    def _keep(self, keep: str) -> None:
        """Copy the live file, as it is while this connection holds the write lock; make it durable
        before live is changed, since a commit over two files is not atomic in WAL mode."""
        self.drop(keep)
        self._reserve(keep)
        with closing(sqlite3.connect(self._live)) as reader:
            reader.execute("VACUUM INTO ?", [keep])
        for path in (keep, str(Path(keep).parent)):
            descriptor = os.open(path, os.O_RDONLY)
            os.fsync(descriptor)
            os.close(descriptor)


def _existing(schema: str) -> str:
    """Return how ATTACH names a file that must be there: it would make an empty one."""
    return f"{Path(schema).absolute().as_uri()}?mode=rw"


def _lost_references(cursor: Any, tables: Sequence[str]) -> Counter[tuple[str, str]]:
    """Count, by (table, table that it refers to), the rows of other tables that refer to none."""
    lost: Counter[tuple[str, str]] = Counter()
    everything = cursor.execute("SELECT name FROM main.sqlite_master WHERE type = 'table'")
    for (table,) in everything.fetchall():
        if table not in tables:
            found = cursor.execute(f"PRAGMA main.foreign_key_check({quoted(table)})")
            lost.update((table, parent) for _, _, parent, _ in found if parent in tables)
    return lost


def _refuse_more(
    before: Counter[tuple[str, str]], after: Counter[tuple[str, str]], alias: str
) -> None:
    if more := after - before:
        found = ", ".join(
            f"{count} of {table} to {parent}" for (table, parent), count in sorted(more.items())
        )
        raise DoesNotFit(
            f"rows of tables that the package does not hold would refer to nothing: {found}",
            obj=f"database {alias}",
            hint="Restore a package that holds these rows, or remove the rows that refer to them.",
        )


def _replace_table(cursor: Any, table: str) -> None:
    cursor.execute(
        "SELECT sql FROM source.sqlite_master WHERE type = 'table' AND name = %s", [table]
    )
    (create,) = cursor.fetchone()
    cursor.execute(f"DROP TABLE IF EXISTS main.{quoted(table)}")
    cursor.execute(create)
    columns = ", ".join(map(quoted, _columns(cursor, table, "source")))
    cursor.execute(
        f"INSERT INTO main.{quoted(table)} ({columns}) SELECT {columns} FROM source.{quoted(table)}"
    )
    for _, _, sql in _indexes_and_triggers(cursor, "source", [table]):
        cursor.execute(sql)
    if "AUTOINCREMENT" in create.upper():
        cursor.execute("DELETE FROM main.sqlite_sequence WHERE name = %s", [table])
        cursor.execute(
            "INSERT INTO main.sqlite_sequence (name, seq) "
            "SELECT name, seq FROM source.sqlite_sequence WHERE name = %s",
            [table],
        )


def _made_by(connection: sqlite3.Connection, schema: str, table: str) -> list[str]:
    """Return the statements that made the table, its indexes and its triggers, in their order."""
    found = connection.execute(
        f"SELECT sql FROM {schema}.sqlite_master WHERE tbl_name = ? AND sql IS NOT NULL"
        " ORDER BY type <> 'table', rowid",
        [table],
    )
    return [sql for (sql,) in found]


def _columns(cursor: Any, table: str, schema: str = "main") -> list[str]:
    """Return the columns that can be written: those that are not generated."""
    found = cursor.execute(f"PRAGMA {schema}.table_xinfo({quoted(table)})").fetchall()
    return [column[1] for column in found if column[6] == 0]


def _replace_migrations(cursor: Any, apps: Sequence[str]) -> None:
    for app in apps:
        cursor.execute("DELETE FROM main.django_migrations WHERE app = %s", [app])
        cursor.execute(
            "INSERT INTO main.django_migrations (app, name, applied) "
            "SELECT app, name, applied FROM source.django_migrations WHERE app = %s ORDER BY id",
            [app],
        )


def _indexes_and_triggers(
    cursor: Any, schema: str, tables: Sequence[str]
) -> Iterator[tuple[str, str, str]]:
    """Yield (kind, name, sql) of what belongs to the tables and was made by a statement."""
    for table in tables:
        cursor.execute(
            f"SELECT type, name, sql FROM {schema}.sqlite_master "
            "WHERE tbl_name = %s AND type IN ('index', 'trigger') AND sql IS NOT NULL",
            [table],
        )
        yield from cursor.fetchall()
