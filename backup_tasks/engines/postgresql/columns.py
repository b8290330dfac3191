"""Columns of PostgreSQL tables, read from the system catalog."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

from backup_tasks.engines.base import qualified, quoted
from backup_tasks.engines.live_structure import lacks_columns


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


def copy_sequence(cursor: Any, source: str, target: str, table: str, column: str) -> None:
    """Let the sequence of a column of the table of one schema stand where that of another does."""
    cursor.execute(
        "SELECT pg_get_serial_sequence(%s, %s), pg_get_serial_sequence(%s, %s)",
        [qualified(source, table), column, qualified(target, table), column],
    )
    before, sequence = cursor.fetchone()
    if before and sequence:  # read like a table: pg_sequence_last_value would lock it
        cursor.execute(f"SELECT setval(%s, last_value, is_called) FROM {before}", [sequence])


def copy_migrated_rows(cursor: Any, source: str, target: str, table: str) -> None:
    """Insert the rows of a table that migrations built into the clone of live's table. Values of
    types that migrations made are written as text, since live has types of its own of these names.

    Raises DoesNotFit if the clone lacks a column.
    """
    cursor.execute(
        "SELECT s.attname, t.attname IS NOT NULL AND t.attgenerated = '', t.attgenerated,"
        " s.atttypid <> t.atttypid AND %s::regnamespace IN (y.typnamespace, e.typnamespace),"
        " format_type(t.atttypid, t.atttypmod)"
        " FROM pg_attribute s LEFT JOIN pg_attribute t ON t.attrelid = %s::regclass"
        "  AND t.attname = s.attname AND NOT t.attisdropped"
        " JOIN pg_type y ON y.oid = s.atttypid LEFT JOIN pg_type e ON e.oid = y.typelem"
        " WHERE s.attrelid = %s::regclass AND s.attnum > 0 AND NOT s.attisdropped"
        "  AND s.attgenerated = '' ORDER BY s.attnum",
        [quoted(source), qualified(target, table), qualified(source, table)],
    )
    found = cursor.fetchall()
    if lost := [name for name, _, generated, *_ in found if generated is None]:
        raise lacks_columns(table, lost)
    kept = [(quoted(name), kind if own else "") for name, kept, _, own, kind in found if kept]
    values = ", ".join(f"{name}::text::{kind}" if kind else name for name, kind in kept)
    cursor.execute(
        f"INSERT INTO {qualified(target, table)} ({', '.join(name for name, _ in kept)})"
        f" OVERRIDING SYSTEM VALUE SELECT {values} FROM {qualified(source, table)}"
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


def last_number(
    connection: BaseDatabaseWrapper, schema: str, table: str, column: str
) -> int | None:
    """Return the last number that the sequence of a column gave; None if it gave none, counts down,
    or the role may not read it."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_sequence_last_value(seqrelid::regclass) FROM pg_sequence"
            " WHERE seqrelid = pg_get_serial_sequence(%s, %s)::regclass AND seqincrement > 0"
            " AND has_sequence_privilege(seqrelid, 'SELECT, USAGE')",
            [qualified(schema, table), column],
        )
        found = cursor.fetchone()
    return found[0] if found else None
