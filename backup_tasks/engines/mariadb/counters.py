"""AUTO_INCREMENT counters of MariaDB's tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from backup_tasks.engines.mariadb.foreign_keys import qualified

_NEXT = (
    "SELECT table_name, auto_increment FROM information_schema.tables"
    " WHERE table_schema = %s AND auto_increment IS NOT NULL"
)


def last_number(cursor: Any, table: str) -> int | None:
    """Return the last number that the table gave, or its rows have; None without a counter."""
    cursor.execute("SELECT DATABASE()")
    cursor.execute(f"{_NEXT} AND table_name = %s", [cursor.fetchone()[0], table])
    found = cursor.fetchone()
    return int(found[1]) - 1 if found else None


def advance(cursor: Any, table: str, given: int) -> None:
    """Let the table, whose name is quoted, give numbers above `given`. Commits the transaction.

    The server leaves a counter alone that is further.
    """
    cursor.execute(f"ALTER TABLE {table} AUTO_INCREMENT = {given + 1}")


def keep_going(cursor: Any, live: str, schema: str, tables: Sequence[str]) -> None:
    """Let the tables of `schema`, which replace live's, give no number that live's have given."""
    cursor.execute(_NEXT, [live])
    given = {name: int(number) - 1 for name, number in cursor.fetchall()}
    cursor.execute(_NEXT, [schema])
    for name, number in cursor.fetchall():
        if name in tables and given.get(name, 0) >= int(number):
            advance(cursor, qualified(schema, name), given[name])
