"""How live's tables and those of another schema of ours take each other's place (PostgreSQL).

Tables move between schemas by ALTER TABLE … SET SCHEMA, so the time it takes does not depend on how
much they hold. Foreign keys across the swap, to and from tables that stay, are dropped and added
again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import IntegrityError

from backup_tasks.engines.base import qualified, quoted
from backup_tasks.engines.postgresql import privileges, schema_objects, table_definitions, views
from backup_tasks.errors import DoesNotFit, Misconfigured

LOCK_TIMEOUT_MS = 500
"""For all tables together. Below deadlock_timeout (1 s), after which the server would end a client
that waits for a table that is locked already and holds one that is not."""


def create_schema(cursor: Any, schema: str, comment: str) -> None:
    """Create a schema, and say in its comment whose it is."""
    cursor.execute(f"CREATE SCHEMA {quoted(schema)}")
    text = comment.replace("'", "''")
    cursor.execute(f"COMMENT ON SCHEMA {quoted(schema)} IS '{text}'")


def refuse_what_does_not_fit(cursor: Any, live: str, schema: str, tables: Sequence[str]) -> None:
    """Raise unless live and the place are two schemas, of which the place has all the tables, and
    the transaction is in live."""
    cursor.execute(
        "SELECT current_schema()::text, to_regnamespace(%s)::oid, to_regnamespace(%s)::oid",
        [quoted(live), quoted(schema)],
    )
    here, live_oid, schema_oid = cursor.fetchone()
    if here != live or live_oid is None:
        raise Misconfigured(
            f"a transaction on live is in schema {here}; an earlier one was in {live}",
            obj=f"schema {live}",
            hint="Something sets search_path for some connections and not for others: a pooler in "
            "transaction mode, or a handler. Set it with ALTER ROLE or ALTER DATABASE.",
        )
    if schema_oid is None or schema_oid == live_oid:
        raise DoesNotFit(
            "it is live itself" if schema_oid else "the schema is gone",
            obj=f"schema {schema}",
            hint="Live was not touched. Start the run again.",
        )
    if missing := sorted(
        set(tables).difference(table_definitions.tables_in(cursor, schema, tables))
    ):
        raise DoesNotFit(
            f"it lacks tables that were to replace live's: {', '.join(missing)}",
            obj=f"schema {schema}",
            hint="Live was not touched. Start the run again.",
        )


def swap(
    cursor: Any,
    live: str,
    schema: str,
    tables: Sequence[str],
    *,
    apps: Sequence[str],
    keep: str,
    comment: str,
) -> None:
    """Replace live's tables by those of the place; live's go to a new schema, `keep`. Inside a
    transaction."""
    present = table_definitions.tables_in(cursor, live, tables)
    found_views = views.find(cursor, live, present)
    materialized = [view.name for view in found_views if view.materialized]
    create_schema(cursor, keep, comment)
    # First, since who reads one of these waits for no table.
    cursor.execute(f"SET LOCAL lock_timeout = {LOCK_TIMEOUT_MS}")
    for name in materialized:
        _set_schema(cursor, live, name, keep)
    plain_views = [view.qualified_name for view in found_views if not view.materialized]
    _lock(
        cursor, live, [*present, *_related_tables(cursor, live, present)], views_first=plain_views
    )
    live_keys = _drop_keys_across_swap(cursor, live, present, live)
    statements = _keys_to_add(
        live_keys, _drop_keys_across_swap(cursor, schema, tables, live), tables
    )
    for name in present:
        _set_schema(cursor, live, name, keep)
    for name in (*tables, *materialized):
        if name in present or name in materialized:
            privileges.copy(cursor, qualified(keep, name), schema, name)
        _set_schema(cursor, schema, name, live)
    replaced = schema_objects.swap(cursor, live, schema, keep)
    cursor.execute("SELECT set_config('search_path', %s, true)", [quoted(live)])
    _add_keys_across_swap(cursor, statements, live)
    views.replace(cursor, found_views)
    schema_objects.refuse_users_outside(cursor, replaced, keep)
    _swap_migrations(cursor, live, schema, keep, apps)


def _related_tables(cursor: Any, schema: str, tables: Sequence[str]) -> list[str]:
    """Return the other tables of the schema that foreign keys lead to, or come from."""
    cursor.execute(
        "SELECT DISTINCT n.relname FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid"
        " JOIN pg_class o ON o.oid = k.confrelid JOIN pg_class n ON n.oid IN (c.oid, o.oid)"
        " WHERE k.contype = 'f' AND c.relnamespace = %s::regnamespace"
        " AND o.relnamespace = c.relnamespace AND NOT n.relname = ANY(%s)"
        " AND (c.relname = ANY(%s) OR o.relname = ANY(%s)) ORDER BY n.relname",
        [quoted(schema), *[list(tables)] * 3],
    )
    return [name for (name,) in cursor.fetchall()]


def _lock(cursor: Any, schema: str, tables: Sequence[str], views_first: Sequence[str]) -> None:
    """Lock all tables that change, in one statement: nothing is waited for after it. Views over
    them come first, as they do when a client reads one."""
    if not tables:
        return
    names = ", ".join([*views_first, *(f"{quoted(schema)}.{quoted(name)}" for name in tables)])
    cursor.execute(f"SET LOCAL statement_timeout = {LOCK_TIMEOUT_MS}")
    cursor.execute(f"LOCK TABLE {names} IN ACCESS EXCLUSIVE MODE")
    cursor.execute("SET LOCAL statement_timeout TO DEFAULT")


def _drop_keys_across_swap(
    cursor: Any, schema: str, tables: Sequence[str], live: str
) -> list[tuple[str, str]]:
    """Drop the foreign keys between the tables and those that stay where they are; return the table
    of each, and the statement that fastens it again, by name, once the tables are live's."""
    cursor.execute("SELECT set_config('search_path', %s, true)", [quoted(schema)])
    cursor.execute(
        "SELECT c.relname, k.conname, pg_get_constraintdef(k.oid) FROM pg_constraint k"
        " JOIN pg_class c ON c.oid = k.conrelid JOIN pg_class o ON o.oid = k.confrelid"
        " WHERE k.contype = 'f' AND c.relnamespace = %s::regnamespace"
        " AND o.relnamespace = c.relnamespace"
        " AND (c.relname = ANY(%s)) <> (o.relname = ANY(%s))",
        [quoted(schema), list(tables), list(tables)],
    )
    keys = []
    for table, name, definition in cursor.fetchall():
        cursor.execute(f"ALTER TABLE {qualified(schema, table)} DROP CONSTRAINT {quoted(name)}")
        alter = f"ALTER TABLE {qualified(live, table)}"
        keys.append((table, f"{alter} ADD CONSTRAINT {quoted(name)} {definition}"))
    return keys


def _keys_to_add(
    live_keys: Sequence[tuple[str, str]], new_keys: Sequence[tuple[str, str]], tables: Sequence[str]
) -> list[str]:
    """Return the foreign keys to fasten: those of live's tables that stay, and those that the new
    tables brought. A kept table has none any more: it takes those of the one it replaces."""
    with_keys = {table for table, _ in new_keys if table in tables}
    return [sql for table, sql in live_keys if table not in with_keys] + [
        sql for table, sql in new_keys if table in with_keys
    ]


def _add_keys_across_swap(cursor: Any, statements: Sequence[str], live: str) -> None:
    try:
        for statement in statements:
            cursor.execute(statement)
    except IntegrityError as error:
        raise DoesNotFit(
            f"rows of tables that the package does not hold would refer to nothing: {error}",
            obj=f"schema {live}",
            hint="Restore a package that holds these rows, or remove the rows that refer to them.",
        ) from error


def _set_schema(cursor: Any, source: str, table: str, target: str) -> None:
    cursor.execute(f"ALTER TABLE {quoted(source)}.{quoted(table)} SET SCHEMA {quoted(target)}")


def _swap_migrations(cursor: Any, live: str, schema: str, keep: str, apps: Sequence[str]) -> None:
    """Take over the record of applied migrations with the tables, and keep the old one."""
    live_migrations = f"{quoted(live)}.django_migrations"
    cursor.execute(
        f"CREATE TABLE {quoted(keep)}.django_migrations AS SELECT * FROM {live_migrations}"
    )
    cursor.execute(f"DELETE FROM {live_migrations} WHERE app = ANY(%s)", [list(apps)])
    cursor.execute(
        f"INSERT INTO {live_migrations} (app, name, applied) SELECT app, name, applied"
        f" FROM {quoted(schema)}.django_migrations WHERE app = ANY(%s) ORDER BY id",
        [list(apps)],
    )
