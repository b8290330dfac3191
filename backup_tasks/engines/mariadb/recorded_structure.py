"""The structure of live's tables as a swap has left it, in a table of the undo database.

An undo renames the old tables back, so what was added to the new ones since then would be lost: an
index, a column, a check. Views stay in live's database, and triggers refuse a swap.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from backup_tasks.engines.mariadb.foreign_keys import qualified
from backup_tasks.engines.mariadb.rename_swap import tables_in
from backup_tasks.engines.mariadb.structure import create_statements

_TABLE = "backup_tasks_structure"
_NAMED = re.compile(r"(?:(CONSTRAINT|\w* ?KEY) )?`((?:[^`]|``)+)`(?: (FOREIGN KEY|CHECK))?")
_KINDS = {None: "column", "FOREIGN KEY": "foreign key", "CHECK": "check"}

Line = tuple[str, str]
"""A table, and a line of its CREATE TABLE statement."""


def record(cursor: Any, live: str, keep: str, tables: Sequence[str]) -> None:
    """Record in the undo database how live's tables are made, instead of what it has recorded."""
    name = qualified(keep, _TABLE)
    cursor.execute(f"CREATE OR REPLACE TABLE {name} (name text NOT NULL, line longtext NOT NULL)")
    lines = sorted(_lines(cursor, live, tables))
    cursor.executemany(f"INSERT INTO {name} VALUES (%s, %s)", lines)


def forget(cursor: Any, keep: str) -> None:
    """Let a promote of the database go on with what `changes` tells."""
    cursor.execute(f"DROP TABLE IF EXISTS {qualified(keep, _TABLE)}")


def changes(cursor: Any, live: str, keep: str, tables: Sequence[str]) -> list[str]:
    """Return, in words, what has changed in live's tables since it was recorded. Nothing of a
    database of an earlier version."""
    if not tables_in(cursor, keep, [_TABLE]):
        return []
    cursor.execute(f"SELECT name, line FROM {qualified(keep, _TABLE)}")
    old = set(cursor.fetchall())
    now = _lines(cursor, live, tables)
    added = {_described(*line) for line in now - old}
    removed = {_described(*line) for line in old - now if line[0] in {name for name, _ in now}}
    return sorted(f"{what} {_word(what in added, what in removed)}" for what in added | removed)


def _lines(cursor: Any, database: str, tables: Sequence[str]) -> set[Line]:
    found = create_statements(cursor, database, tables_in(cursor, database, tables))
    return {
        (table, line.strip().rstrip(","))
        for table, statement in found.items()
        for line in statement.splitlines()[1:]
    }


def _described(table: str, line: str) -> str:
    if line.startswith("PRIMARY KEY"):
        return f"{table}: primary key"
    if not (found := _NAMED.match(line)):
        return f"{table}: options of the table"
    before, name, after = found.groups()
    kind = _KINDS[after] if before in (None, "CONSTRAINT") else "index"
    return f"{table}: {kind} {name}"


def _word(is_there: bool, was_there: bool) -> str:
    if is_there and was_there:
        return "was changed"
    return "was added" if is_there else "was removed"
