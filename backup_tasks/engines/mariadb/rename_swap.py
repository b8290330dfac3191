"""The rename swap: one RENAME TABLE moves staging's tables to live, and live's to the undo
database."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from backup_tasks.engines.mariadb.foreign_keys import (
    ForeignKey,
    keys_after_swap,
    keys_between,
    qualified,
)
from backup_tasks.errors import DoesNotFit, HandoverChanged

MIGRATIONS_TABLE = "django_migrations"
"""It is renamed with the other tables, so its database shows whether the swap happened."""

_FOREIGN_KEY_LOCK_SECONDS = 10
"""How long the statements that replace foreign keys, after the rename, wait for the lock of a table
that stayed."""


@dataclass(frozen=True, kw_only=True)
class RenameSwap:
    """The databases and tables of a swap: from `schema` to `live`, and from `live` to `keep`."""

    live: str
    schema: str
    keep: str
    tables: Sequence[str]

    def happened(self, cursor: Any) -> bool:
        """Whether the tables were renamed."""
        return bool(tables_in(cursor, self.keep, [MIGRATIONS_TABLE]))

    def refuse_what_does_not_fit(self, cursor: Any) -> None:
        """Raise HandoverChanged or DoesNotFit if the tables can't be swapped. Changes nothing."""
        there = tables_in(cursor, self.schema, self.tables)
        if self.happened(cursor):
            if there:
                raise HandoverChanged(
                    f"the swap has happened already, and there are new tables in {self.schema}",
                    obj=f"database {self.keep}",
                    hint="Start a new run.",
                )
            return
        if missing := sorted(set(self.tables).difference(there)):
            raise HandoverChanged(
                f"tables are missing: {', '.join(missing)}",
                obj=f"database {self.schema}",
                hint="Somebody dropped them. Start a new run.",
            )
        refuse_what_hangs_on_live(
            cursor, self.live, self.tables, known=(self.live, self.schema, self.keep)
        )
        refuse_triggers(cursor, self.schema, self.tables)
        refuse_other_storage(cursor, self.schema, self.tables)
        wanted, _ = self._keys_after_swap(self._keys_after_rename(cursor))
        self._refuse_dangling_rows(cursor, wanted, new=self.schema)

    def run(self, cursor: Any) -> None:
        """Swap the tables, or complete a swap that happened. Called outside a transaction, with
        foreign_key_checks off.

        The server finishes the statements even if this process dies. If rows would have dangling
        references, the tables are renamed back and DoesNotFit is raised.
        """
        if self.happened(cursor):
            _, statements = self._keys_after_swap(self._keys(cursor))
            for statement in statements:
                cursor.execute(statement)
        else:
            self._rename(cursor)
        wanted, _ = self._keys_after_swap(self._keys(cursor))
        try:
            self._refuse_dangling_rows(cursor, wanted, new=self.live)
        except DoesNotFit:
            # A client wrote these rows after refuse_what_does_not_fit looked for them.
            replace(self, schema=self.keep, keep=self.schema)._rename(cursor)
            raise

    def _rename(self, cursor: Any) -> None:
        _, statements = self._keys_after_swap(self._keys_after_rename(cursor))
        names = ", ".join(
            f"{qualified(source, table)} TO {qualified(target, table)}"
            for source, table, target in self._renames(cursor)
        )
        block = [f"RENAME TABLE {names}"]
        if statements:
            block += [f"SET lock_wait_timeout = {_FOREIGN_KEY_LOCK_SECONDS}", *statements]
        cursor.execute("BEGIN NOT ATOMIC " + "".join(f"{each}; " for each in block) + "END")

    def _renames(self, cursor: Any) -> list[tuple[str, str, str]]:
        """Return source database, table and target database of each rename, in order."""
        tables = [*self.tables, MIGRATIONS_TABLE]
        return [
            *((self.live, name, self.keep) for name in tables_in(cursor, self.live, tables)),
            *((self.schema, name, self.live) for name in tables_in(cursor, self.schema, tables)),
        ]

    def _keys(self, cursor: Any) -> list[ForeignKey]:
        return keys_between(cursor, (self.live, self.schema, self.keep))

    def _keys_after_rename(self, cursor: Any) -> list[ForeignKey]:
        """Return the foreign keys as the rename will leave them."""
        new_database = {(source, name): target for source, name, target in self._renames(cursor)}

        def new(database: str, table: str) -> str:
            return new_database.get((database, table), database)

        return [
            replace(
                key,
                database=new(key.database, key.table),
                parent_database=new(key.parent_database, key.parent),
            )
            for key in self._keys(cursor)
        ]

    def _keys_after_swap(self, keys: Sequence[ForeignKey]) -> tuple[list[ForeignKey], list[str]]:
        return keys_after_swap(keys, self.live, (self.schema, self.keep), self.tables)

    def _refuse_dangling_rows(self, cursor: Any, wanted: Iterable[ForeignKey], *, new: str) -> None:
        """Raise DoesNotFit for rows with dangling references. `new` is the database that has the
        new tables."""

        def where(table: str) -> str:
            return new if table in self.tables else self.live

        dangling_rows = [
            f"{count} of {key.table} to {key.parent}"
            for key in wanted
            if (count := key.dangling_rows(cursor, where(key.table), where(key.parent)))
        ]
        if dangling_rows:
            raise DoesNotFit(
                "after the swap rows would refer to rows that do not exist: "
                f"{', '.join(dangling_rows)}",
                obj=f"database {self.live}",
                hint="Restore a package that holds these rows, or remove the rows that refer to "
                "them.",
            )


def tables_in(cursor: Any, database: str, tables: Sequence[str]) -> list[str]:
    """Return the tables that exist in the database."""
    if not tables:
        return []
    cursor.execute(
        "SELECT table_name FROM information_schema.tables WHERE table_schema = %s"
        f" AND table_type = 'BASE TABLE' AND table_name IN ({', '.join(['%s'] * len(tables))})"
        " ORDER BY table_name",
        [database, *tables],
    )
    return [name for (name,) in cursor.fetchall()]


def triggers_of(cursor: Any, database: str, tables: Sequence[str]) -> list[tuple[str, str]]:
    """Return the table and the name of each trigger."""
    cursor.execute(
        "SELECT event_object_table, trigger_name FROM information_schema.triggers"
        " WHERE trigger_schema = %s ORDER BY trigger_name",
        [database],
    )
    return [(table, name) for table, name in cursor.fetchall() if table in tables]


def refuse_triggers(cursor: Any, database: str, tables: Sequence[str]) -> None:
    """Raise DoesNotFit for triggers: MariaDB can't rename a table with triggers to another
    database."""
    if found := triggers_of(cursor, database, tables):
        named = ", ".join(f"{trigger} (of {table})" for table, trigger in found)
        raise DoesNotFit(
            f"MariaDB can't move tables that have triggers to another database: {named}",
            obj=f"database {database}",
            hint="Keep what SHOW CREATE TRIGGER says, drop them, run this again, and create them "
            "anew.",
        )


def refuse_other_storage(cursor: Any, database: str, tables: Sequence[str]) -> None:
    """Raise DoesNotFit for tables of other storage engines than InnoDB: they have no
    transactions."""
    cursor.execute(
        "SELECT table_name, engine FROM information_schema.tables WHERE table_schema = %s"
        " AND table_type = 'BASE TABLE' AND engine <> 'InnoDB' ORDER BY table_name",
        [database],
    )
    found = [f"{table} ({engine})" for table, engine in cursor.fetchall() if table in tables]
    if found:
        raise DoesNotFit(
            f"tables without transactions, of which no consistent copy can be made: "
            f"{', '.join(found)}",
            obj=f"database {database}",
            hint="ALTER TABLE … ENGINE = InnoDB, or exclude their models.",
        )


def refuse_what_hangs_on_live(
    cursor: Any, live: str, tables: Sequence[str], *, known: Sequence[str] = ()
) -> None:
    """Raise DoesNotFit for what hangs on live's tables and can't be moved with them. `known` are
    the databases of the swap."""
    refuse_triggers(cursor, live, tables)
    refuse_other_storage(cursor, live, tables)
    refuse_references_from_elsewhere(cursor, live, tables, known=known)


def refuse_references_from_elsewhere(
    cursor: Any, live: str, tables: Sequence[str], *, known: Sequence[str]
) -> None:
    """Raise DoesNotFit for foreign keys of other databases that would refer to a table in the undo
    database."""
    found = [
        f"{key.name} of {key.database}.{key.table}"
        for key in keys_between(cursor, [live])
        if key.database not in (live, *known)
        and key.parent_database == live
        and key.parent in tables
    ]
    if found:
        raise DoesNotFit(
            f"foreign keys of other databases would go on using the old tables: {', '.join(found)}",
            obj=f"database {live}",
            hint="Drop them, run this again, and create them anew.",
        )
