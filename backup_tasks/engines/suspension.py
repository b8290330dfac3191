"""What is put aside while rows are loaded into PostgreSQL tables, since building it afterwards is
faster than keeping it up row by row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from backup_tasks.engines.base import quoted


def suspend(cursor: Any, tables: Sequence[str]) -> list[str]:
    """Drop foreign keys, secondary indexes and unique constraints, and switch off the project's
    triggers; return the statements that bring them back, in the order to run them."""
    names = list(tables)
    here = "c.relnamespace = current_schema()::regnamespace AND c.relname = ANY(%s)"
    cursor.execute(
        "SELECT c.relname, t.tgname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid"
        f" WHERE {here} AND NOT t.tgisinternal AND t.tgenabled = 'O'",
        [names],
    )
    triggers = cursor.fetchall()
    cursor.execute(
        "SELECT c.relname, k.conname, k.contype, pg_get_constraintdef(k.oid) FROM pg_constraint k"
        f" JOIN pg_class c ON c.oid = k.conrelid WHERE {here} AND k.contype IN ('f', 'u', 'x')"
        # Foreign keys go first and come last: they need the unique constraints they refer to.
        " AND NOT EXISTS (SELECT 1 FROM pg_constraint f JOIN pg_class o ON o.oid = f.conrelid"
        "  WHERE f.contype = 'f' AND f.conindid = k.conindid AND k.contype <> 'f'"
        "  AND NOT o.relname = ANY(%s))"
        " ORDER BY k.contype = 'f', c.relname, k.conname",
        [names, names],
    )
    constraints = cursor.fetchall()
    for table, name, _, _ in reversed(constraints):
        cursor.execute(f"ALTER TABLE {quoted(table)} DROP CONSTRAINT {quoted(name)}")
    cursor.execute(
        "SELECT i.relname, pg_get_indexdef(i.oid) FROM pg_index x"
        " JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_class c ON c.oid = x.indrelid"
        f" WHERE {here}"
        " AND NOT EXISTS (SELECT 1 FROM pg_constraint k WHERE k.conindid = i.oid)",
        [names],
    )
    indexes = cursor.fetchall()
    for name, _ in indexes:
        cursor.execute(f"DROP INDEX {quoted(name)}")
    for table, name in triggers:
        cursor.execute(f"ALTER TABLE {quoted(table)} DISABLE TRIGGER {quoted(name)}")
    return [
        *(definition for _, definition in indexes),
        *(
            f"ALTER TABLE {quoted(table)} ADD CONSTRAINT {quoted(name)} {definition}"
            for table, name, _, definition in constraints
        ),
        *(f"ALTER TABLE {quoted(table)} ENABLE TRIGGER {quoted(name)}" for table, name in triggers),
    ]
