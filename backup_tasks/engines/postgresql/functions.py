"""Functions of PostgreSQL whose body was parsed when they were made (BEGIN ATOMIC).

Such a body knows its tables by their identity, as a view does (T25): it would go on with the old
ones. So it is parsed again, from its text, when the new tables have the names. A function that a
string is the body of finds its tables by name, whenever it runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from backup_tasks.engines.base import quoted
from backup_tasks.engines.postgresql.views import create_over_new_tables


def find(cursor: Any, schema: str, tables: Sequence[str]) -> list[str]:
    """Return the statements that create again the functions whose bodies use tables of the schema.
    Sets the search path to the schema: the statements name its tables without it."""
    cursor.execute("SELECT set_config('search_path', %s, true)", [quoted(schema)])
    cursor.execute(
        "SELECT pg_get_functiondef(p.oid) FROM pg_proc p WHERE p.prosqlbody IS NOT NULL"
        " AND EXISTS (SELECT 1 FROM pg_depend d JOIN pg_class c ON c.oid = d.refobjid"
        "  WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid"
        "  AND d.refclassid = 'pg_class'::regclass AND c.relnamespace = %s::regnamespace"
        "  AND (c.relname = ANY(%s) OR c.relkind = 'S')) ORDER BY p.oid",
        [quoted(schema), list(tables)],
    )
    return [definition for (definition,) in cursor.fetchall()]


def replace(cursor: Any, definitions: Sequence[str]) -> None:
    """Create the functions again over the tables that have the names now. Owner, grants, comment
    and what depends on them stay. Raises DoesNotFit if one can't be created."""
    for definition in definitions:
        create_over_new_tables(cursor, definition, definition.splitlines()[0])
