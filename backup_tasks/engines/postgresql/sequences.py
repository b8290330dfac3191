"""Sequences of PostgreSQL's that no rollback brings back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def outside(cursor: Any, schema: str) -> dict[str, int]:
    """Return the last number that each sequence outside of the schema gave, by qualified name."""
    cursor.execute(
        "SELECT format('%%I.%%I', schemaname, sequencename), last_value FROM pg_sequences"
        " WHERE schemaname <> %s AND last_value IS NOT NULL AND increment_by > 0",
        [schema],
    )
    return dict(cursor.fetchall())


def put_right(cursor: Any, names: Sequence[str], before: Mapping[str, int]) -> None:
    """Let none of the sequences give a number again that it gave before, or that is in use. The
    others stay: a gap does no harm."""
    for name in names:
        cursor.execute(
            "SELECT format('%%I.%%I', n.nspname, s.relname),"
            " format('%%I.%%I', n.nspname, c.relname), quote_ident(a.attname)"
            " FROM pg_class s JOIN pg_namespace n ON n.oid = s.relnamespace"
            " LEFT JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = s.oid"
            "  AND d.deptype IN ('a', 'i') AND d.refobjsubid > 0"
            " LEFT JOIN pg_class c ON c.oid = d.refobjid"
            " LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = d.refobjsubid"
            " WHERE s.oid = %s::regclass",
            [name],
        )
        sequence, table, column = cursor.fetchone()
        least = before.get(sequence, 0)
        used = f"(SELECT max({column}) FROM {table})" if column else "NULL"
        cursor.execute(
            f"SELECT setval(%s, greatest(s.last_value, %s, {used})) FROM {sequence} s"
            f" WHERE s.last_value < greatest(%s, {used})",
            [sequence, least, least],
        )
