"""The contract of an engine."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar

from django.contrib.contenttypes.models import ContentType
from django.db import DatabaseError, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from backup_tasks.engines.counting import Counters
from backup_tasks.engines.promote_marks import PromoteMarks
from backup_tasks.errors import DoesNotFit, StillReferenced
from backup_tasks.storage.disk_space import Need

PURPOSES = ("staging", "migrated", "rehearsal", "rehearsed", "undo")
"""Of the schemas of a run: where a restore is built; where migrations run whose rows staging takes
over; the clone of live against which its promote is rehearsed, and where the rehearsal keeps its
tables; live's old tables."""
_ROWS_AT_ONCE = 1000


@dataclass(frozen=True, kw_only=True)
class ExportedSnapshot:
    """What other processes need to join a snapshot."""

    token: str
    sizes: Sequence[int]
    """Size of each table's rows, in bytes."""


class Engine(Counters, PromoteMarks):
    """The adapter for one kind of database.

    A *schema* is a staging or undo schema: a copy of live's tables. On SQLite it is a file, on
    MariaDB a database. Its name says its purpose and its run, so that orphans are found by name.
    All methods are called from one thread.
    """

    isolation: ClassVar[str]
    """Isolation of the snapshot, for the manifest."""
    keeps_live_tables: ClassVar[bool] = False
    """Whether a promote replaces the rows of live's tables, and not the tables, where live and
    staging have the same migrations."""

    def __init__(self, alias: str) -> None:
        self.alias = alias

    @classmethod
    def refuse_backend(cls, connection: BaseDatabaseWrapper) -> None:
        """Raise Misconfigured for a backend of the project's that can't be served. No query."""

    @property
    def live(self) -> BaseDatabaseWrapper:
        """The connection behind the alias in this thread."""
        return connections[self.alias]

    def missing_file(self) -> Path | None:
        """Return the database's file if it is missing, because a connection would create it; else
        None. Does not connect to a server."""
        return None

    def tables_elsewhere(self, tables: Sequence[str]) -> dict[str, str]:
        """Return, of tables that the alias finds in another schema than the one that it leads to,
        the qualified names. Nothing where a connection has one schema."""
        return {}

    @abstractmethod
    def snapshot(self, tables: Sequence[str] = ()) -> AbstractContextManager[None]:
        """Inside, the alias reads one consistent state of live, whatever others write.

        The tables are also protected from TRUNCATE and rewrites, which a snapshot does not hide.
        """

    def refuse_hidden_rows(self, tables: Sequence[str]) -> None:
        """Raise Misconfigured if the role sees only some of the rows of one of the tables."""

    def export_snapshot(self, tables: Sequence[str], *, least: int) -> ExportedSnapshot | None:
        """Inside `snapshot` or another transaction: let other connections join the snapshot until
        it ends. None if they can't, or if the tables have fewer than `least` bytes."""
        return None

    def join_snapshot(self, token: str, schema: str | None) -> AbstractContextManager[None]:
        """Inside, the alias reads the exported snapshot of the token, in the schema (None: live).
        Raises DoesNotFit if it can't, django.db errors."""
        raise DoesNotFit("no other connection can see its snapshots", obj=f"database {self.alias}")

    @abstractmethod
    def schema_name(self, purpose: str, run_id: str) -> str:
        """Return the name of the schema for one of the PURPOSES and a run."""

    def disk_space_needed(self, rows: int) -> Need | None:
        """Return the disk space that a restore of so many bytes of rows takes on this machine, with
        the undo schema; None if the data is on a server."""
        return None

    @abstractmethod
    def create(self, schema: str) -> None:
        """Create an empty schema. One that a crashed attempt left is dropped first."""

    @abstractmethod
    def clone(self, schema: str, tables: Sequence[str]) -> list[str]:
        """Create a schema with empty copies of the tables, and a full copy of `django_migrations`.

        Returns how the copies differ from live, in words; nothing if they are equal: columns,
        defaults, sequences, indexes, constraints, triggers, policies, storage, comments.
        """

    def missing_in(self, schema: str, tables: Sequence[str]) -> list[str]:
        """Return what live's tables have and tables that migrations made have not, in words. A
        promote would remove it. Nothing if a promote keeps live's structure."""
        return []

    def complete(self, schema: str, tables: Sequence[str]) -> None:
        """Add to a clone what live's tables have and it lacks: a load leaves some of it out, and
        more may have been added to live. Raises DoesNotFit for what can't be added."""

    def differences(self, schema: str, tables: Sequence[str]) -> list[str]:
        """Return how the schema's tables differ from live's in structure, as `clone` does."""
        return []

    @abstractmethod
    def at(self, schema: str) -> AbstractContextManager[None]:
        """Inside, the alias leads to the schema for all code of this thread, also for the project's
        migrations, signal handlers and hooks. They can't reach live."""

    @abstractmethod
    def drop(self, schema: str) -> None:
        """Drop a schema and its content. Does nothing if it does not exist.

        Raises StillReferenced, and drops nothing, if objects outside of it depend on its content.
        """

    def discard(self, schema: str) -> list[str]:
        """Drop a schema that is no longer needed. Return why it could not be dropped, in words."""
        try:
            self.drop(schema)
        except StillReferenced as error:
            return [str(error)]
        except (DatabaseError, OSError) as error:
            return [f"{schema} was not dropped: {error}"]
        return []

    @abstractmethod
    def loading(self, tables: Sequence[str], *, attempt: int) -> AbstractContextManager[str | None]:
        """Inside `at`: empty the tables, drop constraints, indexes and triggers, and build them
        again at the end.

        Gives a token with which parallel workers join the load, or None if they can't. Without a
        token it is one transaction. With one, a failure leaves a schema that promote refuses and
        that the next load repairs, and LeaseLost is raised if a later `attempt` has begun. Raises
        django.db errors for rows that break a constraint.
        """

    def join_load(self, token: str, schema: str) -> AbstractContextManager[None]:
        """Inside, this process joins the load of another one, by its token. Raises DoesNotFit if it
        can't, django.db errors."""
        raise DoesNotFit("one connection at a time loads it", obj=f"database {self.alias}")

    @abstractmethod
    def write(self, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> int:
        """Inside `loading`: fill the table with the rows, streaming; return their number.

        Call it once for each table. Raises django.db errors for a row that the table refuses.
        """

    @abstractmethod
    def copy_from_live(self, tables: Sequence[str]) -> None:
        """Inside `loading`: fill the tables with live's rows, all of one snapshot, so that loaded
        rows can refer to them. These tables are not promoted."""

    @abstractmethod
    def copy_from_schema(self, schema: str, tables: Sequence[str]) -> None:
        """Inside `loading`: fill the tables, which are clones of live's, with the rows of those
        that migrations built in another schema. Columns that only live's have get their defaults.

        Raises DoesNotFit if a clone lacks a column, django.db errors for rows that it refuses.
        """

    @abstractmethod
    def rehearse_promote(self, tables: Sequence[str]) -> None:
        """Raise what a promote of the tables would refuse because of live: a role that lacks a
        privilege, objects that depend on live's tables. Changes nothing.

        Called by a backup for its warning, and before anything is built. Raises DoesNotFit,
        Misconfigured, django.db errors.
        """

    @abstractmethod
    def rehearse_swap(
        self, schema: str, *, tables: Sequence[str], apps: Sequence[str], stand_in: str, keep: str
    ) -> list[str]:
        """Promote a loaded staging schema, but replace the tables of `stand_in`, an empty clone of
        live that is made for this and dropped. Raise what a promote would refuse.

        Live is read, and not locked against its clients. Staging is as it was afterwards, except
        for what a promote prepares in it. Returns why the clone could not be dropped, in words.
        Raises DoesNotFit, HandoverChanged, Misconfigured, django.db errors.
        """

    def structure_changes(self, schema: str, tables: Sequence[str]) -> list[str]:
        """Return, in words, what has changed in the structure of live's tables since the staging or
        undo schema was made, and a promote of the schema would lose. PostgreSQL compares what it
        has recorded in both, MariaDB and SQLite in undo schemas only."""
        return []

    def accept_structure(self, schema: str) -> None:
        """Let a promote of the schema go on with what `structure_changes` tells."""

    def refresh_views(self, tables: Sequence[str]) -> list[str]:
        """After a promote: refresh materialized views over the tables that it did not build anew,
        since they are over other views. Return a warning for each that could not be refreshed."""
        return []

    def publications(self, tables: Sequence[str]) -> list[str]:
        """Return the names of publications that name the tables of live, or their schema. They name
        the new ones after a promote, but subscribers don't get their rows by that."""
        return []

    @abstractmethod
    def promote(
        self,
        schema: str,
        *,
        tables: Sequence[str],
        apps: Sequence[str],
        keep: str,
        record: Callable[[], None],
    ) -> float:
        """Replace live's tables with those of the schema, and keep the old ones in schema `keep`.

        One transaction holds the tables, the rows of `django_migrations` of the `apps`, and what
        `record` writes through the alias. `record` is called first, and may raise to cancel.
        Clients see the old state or the new one, never a mixture. An undo promotes a kept schema.
        Returns for how many seconds clients may have waited. Raises LockNotGranted if others held
        the tables for too long, DoesNotFit for objects that would still refer to the old tables.
        """

    def in_doubt(self, schema: str) -> bool:
        """Whether a promote may have moved live's tables into the schema without recording it,
        because the two can't be one transaction. The next attempt of the promote records it.
        """
        return False

    @abstractmethod
    def load_keys(self, table: str, known: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        """Inside `loading`: fill the table with referenced keys. Only these columns have values,
        the first is the primary key, and NOT NULL of the others is ignored. They are not promoted.
        """

    @abstractmethod
    def merge_transaction(
        self, schema: str, *, writing: Sequence[str] | None
    ) -> AbstractContextManager[str]:
        """One transaction on live, in which statements reach the schema's tables too, under the
        prefix that it gives, such as `"staging_x".`.

        The tables in `writing` are locked against other writers; None if live is only read. Foreign
        keys are checked at the end. Inside, the alias leads to the connection of the transaction.
        Raises LockNotGranted, DoesNotFit.
        """


@contextmanager
def connection_replaced(alias: str, connection: BaseDatabaseWrapper) -> Iterator[None]:
    """Let `alias` lead to `connection`, in this thread only; close it at the end.

    Django caches content types by alias, and their ids differ between databases, so the cache is
    emptied before and after (T7).
    """
    before = connections[alias]
    connections[alias] = connection
    ContentType.objects.clear_cache()
    try:
        yield
    finally:
        connections[alias] = before
        ContentType.objects.clear_cache()
        connection.close()


def insert(
    connection: BaseDatabaseWrapper,
    table: str,
    columns: Iterable[str],
    rows: Iterable[Sequence[Any]],
) -> int:
    """Insert the rows, streaming; return their number. The names are quoted already."""
    names = list(columns)
    statement = f"INSERT INTO {table} ({', '.join(names)}) VALUES ".replace("%", "%%")
    statement += f"({', '.join(['%s'] * len(names))})"
    written = 0
    rows = iter(rows)
    with connection.cursor() as cursor:
        # In batches: Django keeps all rows of one executemany.
        while batch := list(islice(rows, _ROWS_AT_ONCE)):
            cursor.executemany(statement, batch)
            written += len(batch)
    return written


def identifier(purpose: str, run_id: str) -> str:
    """Return a name that is safe in SQL and in a file name, of at most 63 characters."""
    return re.sub(r"[^a-z0-9]+", "_", f"{purpose}_{run_id}".lower())[:63]


def qualified(schema: str, name: str) -> str:
    """Return the name with its schema, as SQL writes it."""
    return f"{quoted(schema)}.{quoted(name)}"


def quoted(name: str) -> str:
    """Return the name as SQL writes it."""
    return '"' + name.replace('"', '""') + '"'
