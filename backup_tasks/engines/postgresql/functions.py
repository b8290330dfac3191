"""Functions of PostgreSQL whose body was parsed when they were made (BEGIN ATOMIC).

Such a body knows its tables by their identity, as a view does (T25): it would go on with the old
ones. So it is parsed again, from its text, when the new tables have the names. A function that a
string is the body of finds its tables by name, whenever it runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from backup_tasks.engines.base import quoted
from backup_tasks.engines.postgresql.views import create_over_new_tables


class Function(NamedTuple):
    """A function or procedure whose parsed body uses tables of live."""

    schema: str
    name: str
    qualified_name: str
    """As its definition names it."""
    definition: str
    """The statement that creates it again."""
    identity: str
    """With the types of its arguments."""
    extensions: list[str]
    """Those with which it is dropped (DEPENDS ON EXTENSION), quoted."""

    def definition_as(self, name: str) -> str:
        """Return the statement that creates it under another name, which is quoted."""
        return self.definition.replace(f" {self.qualified_name}(", f" {name}(", 1)


def find(cursor: Any, schema: str, tables: Sequence[str]) -> list[Function]:
    """Return the functions whose bodies use tables of the schema. Sets the search path to the
    schema: the definitions name its tables without it."""
    cursor.execute("SELECT set_config('search_path', %s, true)", [quoted(schema)])
    cursor.execute(
        "SELECT n.nspname, p.proname, format('%%I.%%I', n.nspname, p.proname),"
        " pg_get_functiondef(p.oid), p.oid::regprocedure::text, ARRAY(SELECT quote_ident(e.extname)"
        "  FROM pg_depend x JOIN pg_extension e ON e.oid = x.refobjid AND x.deptype = 'x'"
        "  WHERE x.classid = 'pg_proc'::regclass AND x.objid = p.oid"
        "  AND x.refclassid = 'pg_extension'::regclass ORDER BY 1)"
        " FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace"
        " WHERE p.prosqlbody IS NOT NULL"
        " AND EXISTS (SELECT 1 FROM pg_depend d JOIN pg_class c ON c.oid = d.refobjid"
        "  WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid"
        "  AND d.refclassid = 'pg_class'::regclass AND c.relnamespace = %s::regnamespace"
        "  AND (c.relname = ANY(%s) OR c.relkind = 'S')) ORDER BY p.oid",
        [quoted(schema), list(tables)],
    )
    return [Function(*row) for row in cursor.fetchall()]


def replace(cursor: Any, functions: Sequence[Function]) -> None:
    """Create the functions again over the tables that have the names now. Owner, grants, comment
    and what depends on them stay. Raises DoesNotFit if one can't be created."""
    for function in functions:
        name = f"function {function.qualified_name}"
        create_over_new_tables(cursor, function.definition, name)
        for extension in function.extensions:  # the server forgets them
            cursor.execute(f"ALTER ROUTINE {function.identity} DEPENDS ON EXTENSION {extension}")
