"""The rehearsal of a promote on MariaDB: the rename swap itself, against a stand-in for live.

The stand-in is a database with empty clones of live's tables. A rename can't be rolled back, so the
tables of staging are renamed back; what an earlier attempt left there is, too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from backup_tasks.engines.mariadb.foreign_keys import (
    ForeignKey,
    keys_between,
    qualified,
    quoted,
)
from backup_tasks.engines.mariadb.rename_swap import RenameSwap, tables_in
from backup_tasks.engines.mariadb.structure import stored_columns


@dataclass(frozen=True, kw_only=True)
class Rehearsal:
    """The databases of a rehearsal: `schema` replaces the tables of `stand_in`, which are kept in
    `keep`."""

    live: str
    schema: str
    stand_in: str
    keep: str

    def take_back(self, cursor: Any, tables: Sequence[str]) -> None:
        """Rename the tables of staging back if they were swapped."""
        if self._swap_of(tables).happened(cursor):
            RenameSwap(live=self.stand_in, schema=self.keep, keep=self.schema, tables=tables).run(
                cursor
            )

    def refuse_unfit(self, cursor: Any, tables: Sequence[str]) -> None:
        """Raise what a promote would refuse because of live's rows and objects. Reads only."""
        real = replace(self._swap_of(tables), live=self.live)
        real.refuse_what_does_not_fit(cursor)

    def tables_beside(self, cursor: Any, tables: Sequence[str]) -> list[str]:
        """Return live's tables at the other end of foreign keys across the swap."""
        found = {
            name
            for key in keys_between(cursor, [self.live, self.schema])
            for name in (key.table, key.parent)
            if (key.table in tables) != (key.parent in tables)
        }
        return tables_in(cursor, self.live, sorted(found.difference(tables)))

    def swap(self, cursor: Any, tables: Sequence[str]) -> None:
        """Swap, and swap back. Raises DoesNotFit. Called like the swap of a promote; `stand_in` has
        clones of the tables and of those beside them, `keep` is empty."""
        # Else an INSERT … SELECT locks the rows that it reads.
        cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")
        for key in self._keys_to_tables_that_stay(cursor, tables):
            self._copy_parents(cursor, key)
        self._swap_of(tables).run(cursor)
        self.take_back(cursor, tables)

    def _swap_of(self, tables: Sequence[str]) -> RenameSwap:
        return RenameSwap(live=self.stand_in, schema=self.schema, keep=self.keep, tables=tables)

    def _keys_to_tables_that_stay(self, cursor: Any, tables: Sequence[str]) -> Iterator[ForeignKey]:
        for key in keys_between(cursor, [self.stand_in, self.schema]):
            stays = key.table in tables and key.parent not in tables
            if stays and tables_in(cursor, self.stand_in, [key.parent]):
                yield key

    def _copy_parents(self, cursor: Any, key: ForeignKey) -> None:
        """Copy those of live's rows to the stand-in that rows of staging refer to."""
        columns = ", ".join(stored_columns(cursor, self.live, key.parent))
        same = " AND ".join(
            f"r.{quoted(column)} = p.{quoted(other)}"
            for column, other in zip(key.columns, key.parent_columns, strict=True)
        )
        cursor.execute(
            f"INSERT IGNORE INTO {qualified(self.stand_in, key.parent)} ({columns})"
            f" SELECT {columns} FROM {qualified(self.live, key.parent)} p WHERE EXISTS"
            f" (SELECT 1 FROM {qualified(self.schema, key.table)} r WHERE {same})"
        )
