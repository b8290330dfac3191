"""AUTOINCREMENT counters of SQLite's tables."""

from __future__ import annotations

from typing import Any


def last_number(cursor: Any, table: str) -> int | None:
    """Return the last number that AUTOINCREMENT gave a row of the table; None if it gave none."""
    if not _has_counters(cursor):
        return None
    cursor.execute("SELECT max(seq) FROM sqlite_sequence WHERE name = %s", [table])
    (number,) = cursor.fetchone()
    return None if number is None else int(number)


def advance(cursor: Any, table: str, given: int) -> None:
    """Let AUTOINCREMENT give numbers above `given`; those of the rows it knows. A table without it
    counts on from its highest row."""
    cursor.execute("SELECT sql FROM sqlite_master WHERE type = 'table' AND name = %s", [table])
    (sql,) = cursor.fetchone()
    if not given or "AUTOINCREMENT" not in sql.upper():
        return
    cursor.execute("SELECT count(*) FROM sqlite_sequence WHERE name = %s", [table])
    if cursor.fetchone()[0] == 0:
        cursor.execute("INSERT INTO sqlite_sequence (name, seq) VALUES (%s, 0)", [table])
    cursor.execute("UPDATE sqlite_sequence SET seq = max(seq, %s) WHERE name = %s", [given, table])


def _has_counters(cursor: Any) -> bool:
    cursor.execute("SELECT count(*) FROM sqlite_master WHERE name = 'sqlite_sequence'")
    return bool(cursor.fetchone()[0])
