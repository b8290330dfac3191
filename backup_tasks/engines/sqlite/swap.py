"""The swap on SQLite: replaces live's rows with those of a staging or undo file.

The file is attached as `source`. If it has live's migrations, live's structure stays, and only rows
are replaced. If it has others, for example in an undo to before a migration, the structure is
copied first.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from django.db import IntegrityError

from backup_tasks.engines.base import quoted
from backup_tasks.engines.sqlite import recorded_structure
from backup_tasks.engines.sqlite.foreign_keys import dangling_after_swap
from backup_tasks.engines.sqlite.rows import emptied
from backup_tasks.engines.sqlite.schema import SchemaObject, affinities, objects, of_tables
from backup_tasks.engines.sqlite.virtual_tables import REMEDY, VirtualTables
from backup_tasks.errors import DoesNotFit


class Swap:
    """One swap, while the file is attached to live's connection as `source`."""

    def __init__(
        self,
        cursor: Any,
        *,
        tables: Sequence[str],
        apps: Sequence[str],
        live: VirtualTables,
        source: VirtualTables,
        model_tables: Sequence[str],
    ) -> None:
        """`live` and `source` are the virtual tables of the two files; `model_tables` are those of
        all models."""
        self._model_tables = model_tables
        self._cursor, self._tables, self._apps = cursor, tables, apps
        self._of_live, self._of_source = live, source
        self._old = {each.name: each for each in objects(cursor, "main")}
        self._new = {each.name: each for each in objects(cursor, "source")}
        self._same_migrations = self._migrations("main") == self._migrations("source")
        self._loses_columns = recorded_structure.is_accepted(cursor)

    def _migrations(self, schema: str) -> list[Any]:
        self._cursor.execute(f"SELECT DISTINCT app, name FROM {schema}.django_migrations")
        return sorted(row for row in self._cursor.fetchall() if row[0] in self._apps)

    def refuse_unfit(self, alias: str) -> None:
        """Raise DoesNotFit for what can't be swapped. Changes nothing."""
        if missing := sorted(set(self._tables) - self._new.keys()):
            raise DoesNotFit(
                f"tables are missing in it: {', '.join(missing)}",
                obj="staging",
                hint="Live was not touched. Start the run again.",
            )
        refuse_virtual_tables(self._of_live if self._same_migrations else self._of_source, alias)
        if self._same_migrations and (other := list(self._other_columns())):
            raise DoesNotFit(
                f"live's tables are not what its migrations make: {'; '.join(other)}",
                obj=f"database {alias}",
                hint="Write a migration that adds these columns, or remove them from live.",
            )
        if dangling := dangling_after_swap(self._cursor, self._tables):
            raise DoesNotFit(
                "rows of tables that the package does not hold would refer to nothing: "
                + ", ".join(dangling),
                obj=f"database {alias}",
                hint="Restore a package that holds these rows, or remove the rows that refer to "
                "them.",
            )

    def _other_columns(self) -> Iterator[str]:
        for table in self._tables:
            if table not in self._old:
                continue
            live = affinities(self._cursor, table, "main")
            new = affinities(self._cursor, table, "source")
            for name in sorted(live.keys() | new.keys()):
                if name not in new and self._loses_columns:
                    continue
                if name not in live or name not in new:
                    where = "live" if name in live else "staging"
                    yield f"column {name} of {table} is in {where} only"
                elif live[name] != new[name]:
                    yield f"column {name} of {table} is {live[name]}, and {new[name]} in staging"

    def run(self) -> None:
        """Replace the rows, and the applied migrations of the apps. Call it in a transaction with
        the write lock and with foreign keys off. Raises DoesNotFit, ValidationFailed."""
        if not self._same_migrations:
            self._copy_structure()
        for table in self._tables:
            if not self._exists(table):
                self._execute_all(of_tables([*self._new.values()], [table]))
        virtual = self._of_live if self._same_migrations else self._of_source
        with emptied(self._cursor, self._tables, virtual):
            for table in self._tables:
                self._copy_rows(table)
        self._copy_counters()
        self._copy_migrations()

    def _copy_structure(self) -> None:
        """Drop live's tables. Create the views, virtual tables and tables without a model of
        `source` that live lacks or has differently. What only live has stays."""
        with emptied(self._cursor, self._of_live.filled_from, self._of_live):
            pass  # triggers delete the rows from virtual tables too
        for table in self._tables:
            self._cursor.execute(f"DROP TABLE IF EXISTS main.{quoted(table)}")
        for each in self._new.values():
            old = self._old.get(each.name)
            if each.name in self._tables:
                continue
            if each.kind == "view" or each.module:
                if old is None or old.sql != each.sql:
                    self._replace(each, old)
            elif each.kind == "table" and old is None and each.name not in self._model_tables:
                self._execute_all(of_tables([*self._new.values()], [each.name]))
                self._copy_rows(each.name)

    def _replace(self, each: SchemaObject, old: SchemaObject | None) -> None:
        """Create a view, or a virtual table with its rows."""
        if old is not None:
            kind = "VIEW" if old.kind == "view" else "TABLE"
            self._cursor.execute(f"DROP {kind} main.{quoted(each.name)}")
        triggers = [one for one in self._new.values() if one.table == each.name and one != each]
        self._execute_all([each, *triggers])
        if self._of_source.keeps_rows_of_its_own(each):
            if each.content == "":
                raise DoesNotFit(
                    "it keeps no text that could be copied, and no trigger fills it",
                    obj=f"virtual table {each.name}",
                    hint=REMEDY,
                )
            self._copy_rows(each.name)

    def _exists(self, table: str) -> bool:
        self._cursor.execute("SELECT 1 FROM main.sqlite_master WHERE name = %s", [table])
        return self._cursor.fetchone() is not None

    def _execute_all(self, found: Sequence[SchemaObject]) -> None:
        for each in found:
            self._cursor.execute(each.sql)

    def _copy_rows(self, table: str) -> None:
        columns = ", ".join(map(quoted, affinities(self._cursor, table, "source")))
        self._cursor.execute(
            f"INSERT INTO main.{quoted(table)} ({columns})"
            f" SELECT {columns} FROM source.{quoted(table)}"
        )

    def _copy_counters(self) -> None:
        """Let AUTOINCREMENT continue from the higher number, so that no key is used twice."""
        for schema in ("main", "source"):
            self._cursor.execute(
                f"SELECT 1 FROM {schema}.sqlite_master WHERE name = 'sqlite_sequence'"
            )
            if not self._cursor.fetchone():
                return
        for table in self._tables:
            self._cursor.execute(
                "UPDATE main.sqlite_sequence SET seq = max(seq, coalesce((SELECT max(seq)"
                " FROM source.sqlite_sequence WHERE name = %s), 0)) WHERE name = %s",
                [table, table],
            )
            self._cursor.execute(
                "INSERT INTO main.sqlite_sequence (name, seq)"
                " SELECT name, max(seq) FROM source.sqlite_sequence WHERE name = %s AND NOT EXISTS"
                " (SELECT 1 FROM main.sqlite_sequence WHERE name = %s) GROUP BY name",
                [table, table],
            )

    def _copy_migrations(self) -> None:
        for app in self._apps:
            self._cursor.execute("DELETE FROM main.django_migrations WHERE app = %s", [app])
            self._cursor.execute(
                "INSERT INTO main.django_migrations (app, name, applied) "
                "SELECT app, name, applied FROM source.django_migrations WHERE app = %s"
                " ORDER BY id",
                [app],
            )


def refuse_virtual_tables(virtual: VirtualTables, alias: str) -> None:
    """Raise DoesNotFit for virtual tables that a swap would leave with wrong content."""
    if found := list(virtual.unfit()):
        raise DoesNotFit("; ".join(found), obj=f"database {alias}", hint=REMEDY)


@contextmanager
def constraints_explained(alias: str) -> Iterator[None]:
    """Raise DoesNotFit if the new rows break a constraint that only live's tables have."""
    try:
        yield
    except IntegrityError as error:
        raise DoesNotFit(
            f"the new rows break a constraint of live's tables that no migration made: {error}",
            obj=f"database {alias}",
            hint="Live data was not touched. Remove the constraint, or restore another package.",
        ) from error
