"""Views over PostgreSQL tables that others replace.

A view knows its tables by their identity, not by their name: it goes on showing the old ones
wherever they are moved to (T14). So a plain view is made anew over the tables that now have the
names. A materialized view is built in the staging schema, over the new tables, and moved with them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db import DatabaseError, ProgrammingError, connections

from backup_tasks.engines.base import quoted
from backup_tasks.engines.postgresql import table_definitions
from backup_tasks.engines.postgresql.partitions import with_partitions
from backup_tasks.engines.postgresql.schema_removal import drop_views
from backup_tasks.engines.stopped_client import bounded_transaction
from backup_tasks.errors import DoesNotFit

_LOCK_TIMEOUT_MS = 5000
"""For a view that clients read: nothing of a restore waits for it."""


@dataclass(frozen=True, kw_only=True)
class View:
    """A view over tables of the live schema."""

    schema: str
    name: str
    materialized: bool
    definition: str
    options: str
    method: str
    is_filled: bool

    @property
    def qualified_name(self) -> str:
        """Quoted, with its schema."""
        return f"{quoted(self.schema)}.{quoted(self.name)}"

    @property
    def with_options(self) -> str:
        """The clause of its CREATE statement, after a space; empty without options."""
        return f" WITH ({self.options})" if self.options else ""


def find(cursor: Any, schema: str, tables: Sequence[str]) -> list[View]:
    """Return the views over tables of the schema: plain ones of every schema, and the materialized
    ones of this one; `inventory` refuses the others. Sets the search path to the schema."""
    # Tables of the schema are then named without it in the definitions.
    cursor.execute("SELECT set_config('search_path', %s, true)", [quoted(schema)])
    cursor.execute(
        "SELECT n.nspname, v.relname, v.relkind, pg_get_viewdef(v.oid),"
        " coalesce(array_to_string(v.reloptions, ', '), ''), coalesce(m.amname, ''),"
        " v.relispopulated FROM pg_class v JOIN pg_namespace n ON n.oid = v.relnamespace"
        " LEFT JOIN pg_am m ON m.oid = v.relam WHERE EXISTS ("
        " SELECT 1 FROM pg_rewrite r JOIN pg_depend d ON d.objid = r.oid"
        "  AND d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass"
        "  JOIN pg_class c ON c.oid = d.refobjid WHERE r.ev_class = v.oid AND c.oid <> v.oid"
        "  AND v.relkind IN ('v', 'm')"
        "  AND c.relnamespace = %s::regnamespace AND c.relname = ANY(%s)) ORDER BY v.oid",
        [quoted(schema), list(tables)],
    )
    found = cursor.fetchall()
    materialized = {name for _, name, kind, *_ in found if kind == "m"}
    if not materialized.issubset(tables):  # there may be views over these
        return find(cursor, schema, [*tables, *sorted(materialized.difference(tables))])
    return [
        View(
            schema=owner,
            name=name,
            materialized=kind == "m",
            definition=text,
            options=options,
            method=method,
            is_filled=is_filled,
        )
        for owner, name, kind, text, options, method, is_filled in found
    ]


def build_materialized(
    alias: str, cursor: Any, live: str, schema: str, tables: Sequence[str]
) -> None:
    """Build live's materialized views in the staging schema, over its tables, with their indexes.

    Views that migrations made there go first. Raises DoesNotFit if one can't be built.
    """
    drop_views(alias, cursor, schema)
    cursor.execute("SELECT current_setting('search_path')")
    (path,) = cursor.fetchone()
    for view in find(cursor, live, with_partitions(cursor, live, tables)):
        if not view.materialized:
            continue
        name = f"{quoted(schema)}.{quoted(view.name)}"
        filled = "" if view.is_filled else " WITH NO DATA"
        create = f"CREATE MATERIALIZED VIEW {name} USING {quoted(view.method)}{view.with_options}"
        cursor.execute("SELECT set_config('search_path', %s, true)", [path])
        with table_definitions.looking_in(cursor, schema):
            create += f" AS {view.definition.rstrip('; ')}{filled}"
            create_over_new_tables(cursor, create, f"view {view.qualified_name}")
        table_definitions.forget_default_privileges(cursor, schema, [view.name])
        table_definitions.complete(cursor, live, schema, [view.name])


def replace(cursor: Any, views: Sequence[View]) -> None:
    """Make plain views anew over the tables that now have the names: owner, grants, comment and
    what depends on them stay. Raises DoesNotFit if one can't be."""
    for view in views:
        if not view.materialized:
            statement = f"CREATE OR REPLACE VIEW {view.qualified_name}{view.with_options}"
            create_over_new_tables(
                cursor, f"{statement} AS {view.definition}", f"view {view.qualified_name}"
            )


# From the tables through views of any kind.
_OVER = """
    WITH RECURSIVE over (oid) AS (
        SELECT oid FROM pg_class
         WHERE relnamespace = to_regnamespace(%s) AND relname = ANY(%s)
         UNION
        SELECT w.ev_class FROM over o
          JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = o.oid
           AND d.classid = 'pg_rewrite'::regclass
          JOIN pg_rewrite w ON w.oid = d.objid)
    SELECT v.oid::regclass::text FROM over JOIN pg_class v USING (oid)
     WHERE v.relkind = 'm' AND v.relispopulated
       AND NOT (v.relnamespace = to_regnamespace(%s) AND v.relname = ANY(%s)) ORDER BY v.oid
"""


def refresh_others(alias: str, live: str, tables: Sequence[str]) -> list[str]:
    """Refresh materialized views over plain views of the tables, which a swap does not build: they
    would go on showing the old rows. Return a warning for each that can't be refreshed."""
    with bounded_transaction(alias), connections[alias].cursor() as cursor:
        names = with_partitions(cursor, live, tables)
        built = [view.name for view in find(cursor, live, names) if view.materialized]
        cursor.execute("SET LOCAL search_path = pg_catalog")  # names are then told with the schema
        cursor.execute(_OVER, [quoted(live), names, quoted(live), built])
        others = [name for (name,) in cursor.fetchall()]
    warnings = []
    for name in others:
        try:
            with bounded_transaction(alias), connections[alias].cursor() as cursor:
                cursor.execute(f"SET LOCAL lock_timeout = {_LOCK_TIMEOUT_MS}")
                cursor.execute(f"REFRESH MATERIALIZED VIEW {name}")
        except DatabaseError as error:
            warnings.append(
                f"materialized view {name} still shows the old rows: REFRESH MATERIALIZED VIEW "
                f"{name} ({str(error).strip()})"
            )
    return warnings


def create_over_new_tables(cursor: Any, statement: str, obj: str) -> None:
    """Execute the statement that makes `obj` over tables that replace live's. Raises DoesNotFit if
    they are not such that it can be made."""
    try:
        cursor.execute(statement)
    except ProgrammingError as error:
        raise DoesNotFit(
            f"it can't be made over the new tables: {error}",
            obj=obj,
            hint="Live data was not touched. Drop it, run this again, and create it anew.",
        ) from error
