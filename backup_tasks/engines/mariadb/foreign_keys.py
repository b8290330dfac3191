"""Foreign keys across the swap: between MariaDB tables that are swapped and tables that stay.

A foreign key follows its tables when they are renamed. So after the swap a table that stayed refers
to a table in the undo database, and a new table may refer to one in staging. Each such key is
replaced by one that refers to live's table of the same name. The server does not check the rows
when it replaces a key, so they are checked here, before and after.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

_TEMPORARY_SUFFIX = "_moved"
"""Suffix of a foreign key's name between the two statements that replace it, since one statement
can't drop and add the same name."""
_NAME_LENGTH = 64


def quoted(name: str) -> str:
    """Return the name as MariaDB writes it."""
    return "`" + name.replace("`", "``") + "`"


@dataclass(frozen=True, kw_only=True)
class ForeignKey:
    """A foreign key. Its tables may be in different databases."""

    name: str
    database: str
    table: str
    columns: tuple[str, ...]
    parent_database: str
    parent: str
    parent_columns: tuple[str, ...]
    rules: str
    """ON DELETE and ON UPDATE, where they are not the default."""

    def add(self) -> str:
        """Return the statement that adds it to its table."""
        return f"ALTER TABLE {qualified(self.database, self.table)} {self._addition()}"

    def drop(self) -> str:
        """Return the statement that drops it."""
        table = qualified(self.database, self.table)
        return f"ALTER TABLE {table} DROP FOREIGN KEY {quoted(self.name)}"

    def repoint(self, database: str) -> list[str]:
        """Return the statements that make it refer to the table of the same name in another
        database. The table has the foreign key at every moment."""
        temporary = replace(
            self,
            name=self.name[: _NAME_LENGTH - len(_TEMPORARY_SUFFIX)] + _TEMPORARY_SUFFIX,
            parent_database=database,
        )
        final = replace(self, parent_database=database)
        return [
            f"{self.drop()}, {temporary._addition()}",
            f"{temporary.drop()}, {final._addition()}",
        ]

    def _addition(self) -> str:
        return (
            f"ADD CONSTRAINT {quoted(self.name)} FOREIGN KEY ({_listed(self.columns)})"
            f" REFERENCES {qualified(self.parent_database, self.parent)}"
            f" ({_listed(self.parent_columns)}){self.rules}"
        )

    def dangling_rows(self, cursor: Any, database: str, parent_database: str) -> int:
        """Return how many rows of the table in `database` refer to no row of the parent table in
        `parent_database`."""
        pairs = zip(self.columns, self.parent_columns, strict=True)
        match = " AND ".join(f"t.{quoted(ours)} = o.{quoted(theirs)}" for ours, theirs in pairs)
        given = " AND ".join(f"t.{quoted(column)} IS NOT NULL" for column in self.columns)
        cursor.execute(
            f"SELECT count(*) FROM {qualified(database, self.table)} t"
            f" LEFT JOIN {qualified(parent_database, self.parent)} o ON {match}"
            f" WHERE {given} AND o.{quoted(self.parent_columns[0])} IS NULL"
        )
        return int(cursor.fetchone()[0])


def qualified(database: str, table: str) -> str:
    """Return the quoted name of a table with its database."""
    return f"{quoted(database)}.{quoted(table)}"


def _listed(columns: Iterable[str]) -> str:
    return ", ".join(map(quoted, columns))


def keys_between(cursor: Any, databases: Sequence[str]) -> list[ForeignKey]:
    """Return the foreign keys that tables of the databases have, and those that refer to them."""
    listed = ", ".join(["%s"] * len(databases))
    cursor.execute(
        "SELECT k.constraint_name, k.table_schema, k.table_name, k.column_name,"
        " k.referenced_table_schema, k.referenced_table_name, k.referenced_column_name,"
        " concat(if(r.delete_rule = 'RESTRICT', '', concat(' ON DELETE ', r.delete_rule)),"
        "  if(r.update_rule = 'RESTRICT', '', concat(' ON UPDATE ', r.update_rule)))"
        " FROM information_schema.key_column_usage k"
        " JOIN information_schema.referential_constraints r"
        " ON r.constraint_schema = k.constraint_schema AND r.table_name = k.table_name"
        " AND r.constraint_name = k.constraint_name WHERE k.referenced_table_name IS NOT NULL"
        f" AND (k.table_schema IN ({listed}) OR k.referenced_table_schema IN ({listed}))"
        " ORDER BY k.table_schema, k.table_name, k.constraint_name, k.ordinal_position",
        [*databases, *databases],
    )
    found: dict[tuple[str, str, str], ForeignKey] = {}
    for name, database, table, column, parent_database, parent, parent_column, rules in cursor:
        known = found.get((database, table, name))
        found[database, table, name] = ForeignKey(
            name=name,
            database=database,
            table=table,
            columns=(*(known.columns if known else ()), column),
            parent_database=parent_database,
            parent=parent,
            parent_columns=(*(known.parent_columns if known else ()), parent_column),
            rules=rules,
        )
    return list(found.values())


def keys_after_swap(
    keys: Sequence[ForeignKey], live: str, schemas: Sequence[str], tables: Sequence[str]
) -> tuple[list[ForeignKey], list[str]]:
    """Return the foreign keys that live must have between the swapped `tables` and those that
    stayed, and the statements that create them. `keys` is what the rename leaves.

    No table of live may refer to a table in `schemas` (staging and undo). No table there may refer
    to live, since it would keep clients from deleting rows. A table in the undo database passes its
    keys on to the table that replaced it, unless the new table has keys of its own.
    """
    wanted: list[ForeignKey] = []
    statements: list[str] = []
    for key in keys:
        if key.database != live or key.parent_database not in (live, *schemas):
            continue
        repointed = replace(key, parent_database=live)
        if key.parent_database != live:
            statements += key.repoint(live)
        elif key.name.endswith(_TEMPORARY_SUFFIX):
            repointed = replace(key, name=key.name.removesuffix(_TEMPORARY_SUFFIX))
            statements.append(f"{key.drop()}, {repointed._addition()}")
        if (key.table in tables) != (key.parent in tables):
            wanted.append(repointed)
    brought = {key.table for key in wanted if key.table in tables}
    for key in keys:
        if key.database in schemas and key.parent_database == live:
            if key.table in tables and key.table not in brought:
                wanted.append(replace(key, database=live))
                statements.append(wanted[-1].add())
            statements.append(key.drop())
    return wanted, statements
