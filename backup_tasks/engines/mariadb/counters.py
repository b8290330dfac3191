"""AUTO_INCREMENT counters of MariaDB's tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from backup_tasks.engines.mariadb.foreign_keys import qualified, quoted
from backup_tasks.package.entries import SequenceEntry

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


def sequences(cursor: Any) -> list[SequenceEntry]:
    """Return the sequences of the database that the cursor is in. Its tables' columns own none."""
    cursor.execute(
        "SELECT table_name FROM information_schema.tables"
        " WHERE table_schema = DATABASE() AND table_type = 'SEQUENCE' ORDER BY 1"
    )
    return [_sequence(cursor, name) for (name,) in cursor.fetchall()]


def _sequence(cursor: Any, name: str) -> SequenceEntry:
    cursor.execute(
        "SELECT next_not_cached_value, increment, cache_size, cycle_option FROM " + quoted(name)
    )
    following, increment, cache, cycle = cursor.fetchone()
    return SequenceEntry(
        name=name,
        table="",
        column="",
        last=following,
        called=False,
        increment=increment or 1,  # 0: that of auto_increment_increment
        cache=cache,
        cycle=bool(cycle),
    )


def advance_sequences(cursor: Any, live: str, schema: str, known: Iterable[SequenceEntry]) -> None:
    """Let the sequences of live, which the cursor is in, go on from the furthest of where they
    stand, where the `known` ones stood, and the rows in `schema` whose columns draw from them.

    SETVAL does nothing for a number that is not further.
    """
    before = {entry.name: entry for entry in known if not entry.table}
    for entry in sequences(cursor):
        name = quoted(entry.name)
        entry_before = before.get(entry.name)
        if entry_before and entry.increment * (entry_before.given - entry.given) > 0:
            number, called = entry_before.last, int(entry_before.called)
            cursor.execute(f"SELECT SETVAL({name}, %s, %s)", [number, called])
        cursor.execute(
            "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = %s"
            " AND locate(%s, column_default)"
            " AND data_type IN ('tinyint', 'smallint', 'mediumint', 'int', 'bigint', 'decimal')",
            [schema or live, f"nextval({qualified(live, entry.name)})"],
        )
        drawing = cursor.fetchall()
        cursor.execute(f"SELECT minimum_value, maximum_value FROM {name}")
        smallest, largest = cursor.fetchone()
        furthest = "max" if entry.increment > 0 else "min"
        for table, column in drawing:
            cursor.execute(
                f"SELECT {furthest}({quoted(column)}) FROM {qualified(schema or live, table)}"
            )
            (number,) = cursor.fetchone()
            # A number that it can't give says nothing of what it gave.
            if number is None or not smallest <= number <= largest:
                continue
            if entry.increment * (number - entry.given) > 0:
                cursor.execute(f"SELECT SETVAL({name}, %s)", [int(number)])
