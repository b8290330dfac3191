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


def create_schema(cursor: Any, schema: str, mark: str) -> None:
    """Create a schema, and say in its comment whose it is."""
    cursor.execute(f"CREATE SCHEMA {quoted(schema)}")
    text = mark.replace("'", "''")
    cursor.execute(f"COMMENT ON SCHEMA {quoted(schema)} IS '{text}'")


def refuse_unfit(cursor: Any, live: str, schema: str, tables: Sequence[str]) -> None:
    """Raise unless live and the place are two schemas, of which the place has all the tables, and
    the transaction is in live."""
    cursor.execute(
        "SELECT current_schema()::text, to_regnamespace(%s)::oid, to_regnamespace(%s)::oid",
        [quoted(live), quoted(schema)],
    )
    here, live_oid, place_oid = cursor.fetchone()
    if here != live or live_oid is None:
        raise Misconfigured(
            f"a transaction on live is in schema {here}; an earlier one was in {live}",
            obj=f"schema {live}",
            hint="Something sets search_path for some connections and not for others: a pooler in "
            "transaction mode, or a handler. Set it with ALTER ROLE or ALTER DATABASE.",
        )
    if place_oid is None or place_oid == live_oid:
        raise DoesNotFit(
            "it is live itself" if place_oid else "the schema is gone",
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
    mark: str,
) -> None:
    """Replace live's tables by those of the place; live's go to a new schema, `keep`. Inside a
    transaction."""
    there = table_definitions.tables_in(cursor, live, tables)
    shown = views.over(cursor, live, there)
    stored = [view.name for view in shown if view.materialized]
    create_schema(cursor, keep, mark)
    # First, since who reads one of these waits for no table.
    cursor.execute(f"SET LOCAL lock_timeout = {LOCK_TIMEOUT_MS}")
    for name in stored:
        _move(cursor, live, name, keep)
    plain = [view.full_name for view in shown if not view.materialized]
    _lock(cursor, live, [*there, *_neighbours(cursor, live, there)], after=plain)
    of_live = _drop_keys_across_swap(cursor, live, there, live)
    again = _keys_to_add(of_live, _drop_keys_across_swap(cursor, schema, tables, live), tables)
    for name in there:
        _move(cursor, live, name, keep)
    for name in (*tables, *stored):
        if name in there or name in stored:
            privileges.copy(cursor, qualified(keep, name), schema, name)
        _move(cursor, schema, name, live)
    replaced = schema_objects.exchange(cursor, live, schema, keep)
    cursor.execute("SELECT set_config('search_path', %s, true)", [quoted(live)])
    _add_keys_across_swap(cursor, again, live)
    views.renew(cursor, shown)
    schema_objects.refuse_users_outside(cursor, replaced, keep)
    _keep_migrations(cursor, live, schema, keep, apps)


def _neighbours(cursor: Any, schema: str, tables: Sequence[str]) -> list[str]:
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


def _lock(cursor: Any, schema: str, tables: Sequence[str], after: Sequence[str]) -> None:
    """Lock all tables that change, in one statement: nothing is waited for after it. Views over
    them come first, as they do when a client reads one."""
    if not tables:
        return
    names = ", ".join([*after, *(f"{quoted(schema)}.{quoted(name)}" for name in tables)])
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
    again = []
    for table, name, definition in cursor.fetchall():
        cursor.execute(f"ALTER TABLE {qualified(schema, table)} DROP CONSTRAINT {quoted(name)}")
        alter = f"ALTER TABLE {qualified(live, table)}"
        again.append((table, f"{alter} ADD CONSTRAINT {quoted(name)} {definition}"))
    return again


def _keys_to_add(
    of_live: Sequence[tuple[str, str]], of_place: Sequence[tuple[str, str]], tables: Sequence[str]
) -> list[str]:
    """Return the foreign keys to fasten: those of live's tables that stay, and those that the new
    tables brought. A kept table has none any more: it takes those of the one it replaces."""
    brought = {table for table, _ in of_place if table in tables}
    return [sql for table, sql in of_live if table not in brought] + [
        sql for table, sql in of_place if table in brought
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


def _move(cursor: Any, source: str, table: str, target: str) -> None:
    cursor.execute(f"ALTER TABLE {quoted(source)}.{quoted(table)} SET SCHEMA {quoted(target)}")


def _keep_migrations(cursor: Any, live: str, schema: str, keep: str, apps: Sequence[str]) -> None:
    """Take over the record of applied migrations with the tables, and keep the old one."""
    mine = f"{quoted(live)}.django_migrations"
    cursor.execute(f"CREATE TABLE {quoted(keep)}.django_migrations AS SELECT * FROM {mine}")
    cursor.execute(f"DELETE FROM {mine} WHERE app = ANY(%s)", [list(apps)])
    cursor.execute(
        f"INSERT INTO {mine} (app, name, applied) SELECT app, name, applied"
        f" FROM {quoted(schema)}.django_migrations WHERE app = ANY(%s) ORDER BY id",
        [list(apps)],
    )
