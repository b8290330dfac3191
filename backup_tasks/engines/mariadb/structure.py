"""The structure of MariaDB's tables, and what live's have and those that migrations made have
not."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from backup_tasks.engines.live_structure import lacks_columns
from backup_tasks.engines.mariadb.foreign_keys import qualified, quoted

_KINDS = {
    "column": (
        "SELECT table_name, column_name, column_name FROM information_schema.columns"
        " WHERE table_schema = %s"
    ),
    # By columns: the server names the index of a foreign key anew in a swap.
    "index": (
        "SELECT table_name, concat(non_unique, group_concat(concat(column_name,"
        " ifnull(sub_part, '')) ORDER BY seq_in_index)), index_name"
        " FROM information_schema.statistics WHERE table_schema = %s"
        " GROUP BY table_name, index_name, non_unique"
    ),
    "check": (
        "SELECT table_name, check_clause, constraint_name FROM information_schema.check_constraints"
        " WHERE constraint_schema = %s"
    ),
}
"""By kind: table, what has to be equal, and name."""


def missing_in(cursor: Any, live: str, schema: str, tables: Sequence[str]) -> list[str]:
    """Return the columns, indexes and checks of live's tables that those of the other database have
    not, in words."""
    found = []
    for kind, sql in _KINDS.items():
        cursor.execute(sql, [schema])
        there = {(table, what) for table, what, _ in cursor.fetchall()}
        made = {table for table, _ in there} if kind == "column" else set(tables)
        cursor.execute(sql, [live])
        found += [
            f"{kind} {name} of {table}"
            for table, what, name in cursor.fetchall()
            if table in tables and table in made and (table, what) not in there
        ]
    return sorted(found)


def create_statements(cursor: Any, database: str, tables: Sequence[str]) -> dict[str, str]:
    """Return the CREATE TABLE statement of each table, with foreign keys and comments, but without
    the AUTO_INCREMENT counter."""
    statements = {}
    for name in tables:
        cursor.execute(f"SHOW CREATE TABLE {qualified(database, name)}")
        statements[name] = re.sub(
            r"^(\) ENGINE=\w+) AUTO_INCREMENT=\d+", r"\1", cursor.fetchone()[1], flags=re.MULTILINE
        )
    return statements


def stored_columns(cursor: Any, database: str, table: str) -> list[str]:
    """Return the quoted names of the columns that can be written: all but generated ones."""
    cursor.execute(
        "SELECT column_name FROM information_schema.columns WHERE table_schema = %s"
        " AND table_name = %s AND generation_expression IS NULL ORDER BY ordinal_position",
        [database, table],
    )
    return [quoted(name) for (name,) in cursor.fetchall()]


def copy_migrated_rows(cursor: Any, source: str, table: str) -> None:
    """Insert the rows of a table that migrations built in another database into the clone of live's
    table in this one. Raises DoesNotFit if the clone lacks a column."""
    cursor.execute("SELECT DATABASE()")
    (target,) = cursor.fetchone()
    cursor.execute(
        "SELECT column_name FROM information_schema.columns"
        " WHERE table_schema = %s AND table_name = %s",
        [target, table],
    )
    there = {quoted(name) for (name,) in cursor.fetchall()}
    stored = set(stored_columns(cursor, target, table))
    columns = stored_columns(cursor, source, table)
    if lost := [name for name in columns if name not in there]:
        raise lacks_columns(table, lost)
    listed = ", ".join(name for name in columns if name in stored)
    cursor.execute(
        f"INSERT INTO {quoted(table)} ({listed}) SELECT {listed} FROM {qualified(source, table)}"
    )
