"""What an engine is."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar

from django.contrib.contenttypes.models import ContentType
from django.db import DatabaseError, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import AutoField, Model

from backup_tasks.errors import DoesNotFit, StillReferenced
from backup_tasks.storage.disk_space import Need

_ROWS_AT_ONCE = 1000


@dataclass(frozen=True, kw_only=True)
class ExportedSnapshot:
    """What other processes need to see the state that this one sees."""

    token: str
    sizes: Sequence[int]
    """Bytes that the rows of each table take."""


class Engine(ABC):
    """Does to one database what differs between databases.

    A *schema* holds a whole copy of the tables beside live: on SQLite it is a file. Its
    name says what it is for (staging or undo) and for which run, so that what a crash left behind
    is found by name. All methods are called from one thread.
    """

    isolation: ClassVar[str]
    """Of the snapshot, for the manifest."""

    def __init__(self, alias: str) -> None:
        self.alias = alias

    @property
    def live(self) -> BaseDatabaseWrapper:
        """The connection behind the alias in this thread."""
        return connections[self.alias]

    def missing_file(self) -> Path | None:
        """Return the file of a database that does not exist and that a connection would make, None
        if there is none such. Asks no server: one that is away says so itself."""
        return None

    def tables_elsewhere(self, tables: Sequence[str]) -> dict[str, str]:
        """Return, of tables that the alias finds in another schema than the one that it leads to,
        the qualified names. Nothing where a connection has one schema."""
        return {}

    @abstractmethod
    def snapshot(self, tables: Sequence[str] = ()) -> AbstractContextManager[None]:
        """Inside, the alias reads one consistent state of live, whatever others write.

        Of the tables also where others would empty or rewrite them, which no snapshot knows.
        """

    def refuse_hidden_rows(self, tables: Sequence[str]) -> None:  # noqa: B027 - elsewhere all are seen
        """Raise Misconfigured if the role sees, of one of the tables, some of the rows only."""

    def export_snapshot(self, tables: Sequence[str], *, least: int) -> ExportedSnapshot | None:
        """Inside `snapshot`, or another transaction: let other connections see what it sees, until
        it ends. None where none can, or the tables take less than so many bytes."""
        return None

    def join_snapshot(self, token: str, schema: str | None) -> AbstractContextManager[None]:
        """Inside, the alias sees, in `place` (None: live), what the process sees that gave the
        token. Raises DoesNotFit if it can't, django.db errors."""
        raise DoesNotFit("no other connection can see its snapshots", obj=f"database {self.alias}")

    @abstractmethod
    def schema_name(self, purpose: str, run_id: str) -> str:
        """Return the name of the place for a purpose ("staging" or "undo") and a run."""

    @abstractmethod
    def schemas(self) -> list[str]:
        """Return the names of the places that exist."""

    def disk_space_needed(self, rows: int) -> Need | None:
        """Return what a restore of so many bytes of rows takes of a disk of this machine, the kept
        copy of live included; None where a server has the disk."""
        return None

    @abstractmethod
    def create(self, schema: str) -> None:
        """Make an empty place; one that a crashed attempt left is dropped first."""

    @abstractmethod
    def clone(self, schema: str, tables: Sequence[str]) -> list[str]:
        """Make a place with empty copies of live tables, and a full copy of `django_migrations`.

        Returns what is not equal in structure to live, in words; nothing if all is: columns,
        defaults, sequences, indexes, constraints, triggers, policies, storage, comments.
        """

    def missing_in(self, schema: str, tables: Sequence[str]) -> list[str]:
        """Return what live's tables have and those of a place that migrations made have not, in
        words: after a promote it is gone. Nothing where a promote keeps live's structure."""
        return []

    def complete(self, schema: str, tables: Sequence[str]) -> None:  # noqa: B027 - a load is exact
        """Make what hangs on the live tables and not on those of a clone: a load leaves some of it
        out, and live may have got more since. Raises DoesNotFit for what can't be made."""

    def differences(self, schema: str, tables: Sequence[str]) -> list[str]:
        """Return how tables of a schema differ in structure from live's, as `clone` does."""
        return []

    @abstractmethod
    def at(self, schema: str) -> AbstractContextManager[None]:
        """Inside, the alias leads to the place for all code of this thread, project code included:
        migrations, signal handlers and hooks that know nothing of staging can't reach live."""

    @abstractmethod
    def drop(self, schema: str) -> None:
        """Remove a place and all that is in it. Nothing happens if it does not exist.

        Raises StillReferenced, and drops nothing, if something outside hangs on what is inside.
        """

    def discard(self, schema: str) -> list[str]:
        """Remove a place that nobody needs any more; return why it is still there, in words."""
        try:
            self.drop(schema)
        except StillReferenced as error:
            return [str(error)]
        except (DatabaseError, OSError) as error:
            return [f"{schema} was not dropped: {error}"]
        return []

    @abstractmethod
    def loading(self, tables: Sequence[str], *, attempt: int) -> AbstractContextManager[str | None]:
        """Inside `at(place)`: empty the tables and keep constraints, indexes and triggers out of
        the way; at the end build them again.

        Gives a token with which others can load along, None where nobody can; then it is one
        transaction. Else what fails leaves a place that no promote takes, and that the next load
        makes whole; and LeaseLost is raised if a later `attempt` has begun. Raises django.db errors
        for rows that break a constraint.
        """

    def join_load(self, token: str, schema: str) -> AbstractContextManager[None]:
        """Inside, what another process is loading into the place can be loaded too: the token is
        the one that it gave. Raises DoesNotFit if it can't, django.db errors."""
        raise DoesNotFit("one connection at a time loads it", obj=f"database {self.alias}")

    @abstractmethod
    def write(self, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> int:
        """Inside `loading`: fill the table with the rows, streaming; return their number.

        Once a table. Raises django.db errors for a row that the table refuses.
        """

    @abstractmethod
    def copy_from_live(self, tables: Sequence[str]) -> None:
        """Inside `loading`: fill the tables with live's rows of one moment, as they are, for what
        is loaded to refer to. They are not promoted."""

    def last_numbers(self, models: Iterable[type[Model]]) -> dict[str, int]:
        """Return, by table, the highest primary key that the database has given, also to a row that
        is gone. Tables without one are left out."""
        given = {
            model._meta.db_table: self._last_number(model._meta.db_table, pk.column)
            for model in models
            if isinstance(pk := model._meta.pk, AutoField)
        }
        return {table: number for table, number in given.items() if number and number > 0}

    @abstractmethod
    def _last_number(self, table: str, column: str) -> int | None:
        """Return that of one table."""

    def advance_sequences(
        self, models: Iterable[type[Model]], given: Mapping[str, int] | None = None
    ) -> None:
        """Let the next primary key that the database gives be above all that there are, and above
        those in `given`, by table; a counter that is above them already stays (T9).

        Outside of `loading`: MariaDB would end its transaction.
        """
        for model in models:
            if isinstance(pk := model._meta.pk, AutoField):
                table = model._meta.db_table
                self._advance_sequence(table, pk.column, (given or {}).get(table, 0))

    @abstractmethod
    def _advance_sequence(self, table: str, column: str, given: int) -> None:
        """Do so for one table."""

    @abstractmethod
    def rehearse_promote(
        self, tables: Sequence[str], *, apps: Sequence[str] = (), schema: str | None = None
    ) -> None:
        """Raise what a promote of the tables would refuse, as far as it can be known without
        changing anything: what hangs on live's tables, and, of a loaded staging `schema`, whether
        its tables and rows can take the place of live's.

        The backup's warning, the steps before anything is built, the drill's end and the promote
        itself all ask here. Raises DoesNotFit, HandoverChanged, Misconfigured, django.db errors.
        """

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
        """Replace the live tables by those of the place, and keep the old ones in the place `keep`.

        In one transaction: the tables, the rows of `django_migrations` of the `apps`, and what
        `record` writes through the alias (it is called first, and may raise to call all off).
        Clients see the old state or the new one, never a mixture. A kept place can be promoted
        again: that is undo. Returns the seconds for which clients could be kept waiting.
        Raises LockNotGranted if others held the tables for too long, DoesNotFit for objects in the
        database that would be left referring to the old tables.
        """

    def in_doubt(self, schema: str) -> bool:
        """Whether a promote may have put live's tables into the place without saying so: only where
        the two can't be one transaction. The promote, done again, says it and does nothing else.
        """
        return False


class MergingEngine(Engine):
    """What a merge asks for besides."""

    @abstractmethod
    def load_keys(self, table: str, known: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        """Inside `loading`: fill the table with rows of which no more is known than these columns,
        the first of them the primary key, whatever else the table demands. They are not promoted.
        """

    @abstractmethod
    def merge_transaction(
        self, schema: str, *, writing: Sequence[str] | None
    ) -> AbstractContextManager[str]:
        """One transaction on live, in which statements reach the tables of the place too: under the
        prefix that it gives, `"staging_x".`.

        Nobody else writes to the tables in `writing` meanwhile; None if nothing of live is to be
        changed. Foreign keys are checked at the end. Raises LockNotGranted.
        """


@contextmanager
def connection_replaced(alias: str, connection: BaseDatabaseWrapper) -> Iterator[None]:
    """Let `alias` lead to `connection`, in this thread only; close it at the end.

    Content types are cached by alias, with ids that differ between databases: the cache is emptied
    on both sides (T7).
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
