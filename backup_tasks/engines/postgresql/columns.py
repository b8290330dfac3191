"""Columns of PostgreSQL tables, read from the system catalog."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from backup_tasks.engines.base import qualified, quoted


def writable_columns(cursor: Any, schema: str, table: str) -> str:
    """Return the columns that are not generated: quoted, with commas between them."""
    cursor.execute(
        "SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum)"
        " FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0"
        " AND NOT attisdropped AND attgenerated = ''",
        [qualified(schema, table)],
    )
    return str(cursor.fetchone()[0])


def copy_rows(cursor: Any, source: str, target: str, table: str) -> None:
    """Insert the rows of the table of one schema into that of another, with all columns that are
    not generated."""
    names = writable_columns(cursor, target, table)
    cursor.execute(
        f"INSERT INTO {qualified(target, table)} ({names}) OVERRIDING SYSTEM VALUE"
        f" SELECT {names} FROM {qualified(source, table)}"
    )


def drop_not_null(cursor: Any, schema: str, table: str, keep: Sequence[str]) -> None:
    """Drop NOT NULL from all columns except those in `keep`."""
    cursor.execute(
        "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0"
        " AND attnotnull AND NOT attisdropped AND NOT attname = ANY(%s)",
        [qualified(schema, table), list(keep)],
    )
    for (name,) in cursor.fetchall():
        cursor.execute(f"ALTER TABLE {qualified(schema, table)} ALTER {quoted(name)} DROP NOT NULL")


def advance_sequence(cursor: Any, schema: str, table: str, column: str) -> None:
    """Let the sequence of a column give numbers above all that the column holds."""
    cursor.execute("SELECT pg_get_serial_sequence(%s, %s)", [qualified(schema, table), column])
    (sequence,) = cursor.fetchone()
    if sequence:
        cursor.execute(
            f"SELECT setval('{sequence}', t.highest) FROM {sequence} s,"
            f" (SELECT max({quoted(column)}) AS highest FROM {qualified(schema, table)}) t"
            " WHERE t.highest >= s.last_value"
        )
