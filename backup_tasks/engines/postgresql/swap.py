"""The swap on PostgreSQL: exchanges live's tables with those of a staging or undo schema.

Tables move between schemas by ALTER TABLE … SET SCHEMA, so the time it takes does not depend on how
much they hold. Foreign keys across the swap, to and from tables that stay, are dropped and added
again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

from django.db import transaction

from backup_tasks.engines.base import qualified, quoted
from backup_tasks.engines.postgresql import (
    bulk_load,
    counters,
    foreign_keys,
    functions,
    inventory,
    partitions,
    publications,
    recorded_structure,
    schema_objects,
    table_definitions,
    views,
)
from backup_tasks.engines.postgresql.location import find_live_schema
from backup_tasks.errors import DoesNotFit, Misconfigured

LOCK_TIMEOUT_MS = 500
"""For all tables together. Below deadlock_timeout (1 s), after which the server would end a client
that waits for a table that is locked already and holds one that is not."""

_INSIDE = (
    "(SELECT coalesce(array_agg(oid), '{}') AS tables FROM pg_class"
    " WHERE relnamespace = %(schema)s::regnamespace AND relname = ANY(%(tables)s)) i"
)
_ACROSS = (
    "k.contype = 'f' AND k.conparentid = 0"
    " AND (k.conrelid = ANY(i.tables)) <> (k.confrelid = ANY(i.tables))"
)


def create_schema(cursor: Any, schema: str, comment: str) -> None:
    """Create a schema, and say in its comment whose it is."""
    cursor.execute(f"CREATE SCHEMA {quoted(schema)}")
    text = comment.replace("'", "''")
    cursor.execute(f"COMMENT ON SCHEMA {quoted(schema)} IS '{text}'")


def schemas(cursor: Any, comment: str) -> list[str]:
    """Return the names of the schemas that have this comment."""
    cursor.execute(
        "SELECT nspname FROM pg_namespace"
        " WHERE obj_description(oid, 'pg_namespace') = %s ORDER BY nspname",
        [comment],
    )
    return [name for (name,) in cursor.fetchall()]


def refuse_unfit(cursor: Any, live: str, schema: str, tables: Sequence[str]) -> None:
    """Raise what a promote of the tables would refuse before it locks anything."""
    refuse_what_does_not_fit(cursor, live, schema, tables)
    inventory.refuse(cursor, live, tables)
    bulk_load.refuse_unfinished_load(cursor, schema)


def prepare(alias: str, cursor: Any, live: str, schema: str, tables: Sequence[str]) -> None:
    """Give staging what it takes over from live before a swap, while nothing is locked. Live's
    structure is compared and recorded first: what changes from now on is noticed by the swap."""
    recorded_structure.refuse_changed(cursor, live, schema, tables, carried=True)
    recorded_structure.record(cursor, live, schema)
    table_definitions.give_to_same_roles(cursor, live, schema, tables)
    views.build_materialized(alias, cursor, live, schema, tables)


def refuse_what_does_not_fit(cursor: Any, live: str, schema: str, tables: Sequence[str]) -> None:
    """Raise unless live and the staging schema are two schemas, staging has all the tables, and
    the transaction is in live."""
    cursor.execute(
        "SELECT to_regnamespace(%s)::oid, to_regnamespace(%s)::oid", [quoted(live), quoted(schema)]
    )
    live_oid, schema_oid = cursor.fetchone()
    here = find_live_schema(cursor)
    if here != live or live_oid is None:
        raise Misconfigured(
            f"a transaction finds live in schema {here}; an earlier one found it in {live}",
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
    partitions.refuse_without(cursor, live, schema, tables)


def replace_live(
    cursor: Any,
    live: str,
    schema: str,
    tables: Sequence[str],
    *,
    apps: Sequence[str],
    keep: str,
) -> None:
    """Swap, unless the structure of live's tables has changed since `prepare`. That of the tables
    which replace them is marked in `keep`."""
    unchanged = partial(recorded_structure.refuse_changed, cursor, live, schema, tables)
    swap(cursor, live, schema, tables, apps=apps, keep=keep, when_locked=unchanged)
    recorded_structure.mark(cursor, live, keep)


def swap(
    cursor: Any,
    live: str,
    schema: str,
    tables: Sequence[str],
    *,
    apps: Sequence[str],
    keep: str,
    when_locked: Callable[[], None],
) -> None:
    """Replace live's tables with those of the staging schema. Live's go to the empty schema
    `keep`. Call it in a transaction. `when_locked` may raise to cancel."""
    tables = partitions.with_partitions(cursor, schema, tables)
    present = partitions.with_partitions(
        cursor, live, table_definitions.tables_in(cursor, live, tables)
    )
    found_views = views.find(cursor, live, present)
    found_functions = functions.find(cursor, live, present)
    published = publications.find(cursor, live, present)
    materialized = [view.name for view in found_views if view.materialized]
    # First, since who reads one of these waits for no table.
    cursor.execute(f"SET LOCAL lock_timeout = {LOCK_TIMEOUT_MS}")
    for name in materialized:
        _set_schema(cursor, live, name, keep)
    plain_views = [view.qualified_name for view in found_views if not view.materialized]
    names = [qualified(live, name) for name in present]
    _lock(cursor, plain_views, [*names, *_related_tables(cursor, live, present)])
    when_locked()
    live_keys = _drop_keys_across_swap(cursor, live, present, live)
    new_keys = _drop_keys_across_swap(cursor, schema, tables, live)
    for name in present:
        _set_schema(cursor, live, name, keep)
    for name in (*tables, *materialized):
        _set_schema(cursor, schema, name, live)
    counters.keep_going(cursor, keep, live, present)
    replaced = schema_objects.swap(cursor, live, schema, keep)
    cursor.execute("SELECT set_config('search_path', %s, true)", [quoted(live)])
    foreign_keys.add(cursor, _keys_to_add(live_keys, new_keys), live)
    views.replace(cursor, found_views)
    functions.replace(cursor, found_functions)
    publications.replace(cursor, published, live, keep)
    schema_objects.refuse_users_outside(cursor, replaced, keep)
    _swap_migrations(cursor, live, schema, keep, apps)


def _related_tables(cursor: Any, schema: str, tables: Sequence[str]) -> list[str]:
    """Return the other tables, of whatever schema, that foreign keys lead to, or come from."""
    cursor.execute(
        "SELECT DISTINCT format('%%I.%%I', s.nspname, n.relname)"
        f" FROM {_INSIDE}, pg_constraint k JOIN pg_class n ON n.oid IN (k.conrelid, k.confrelid)"
        f" JOIN pg_namespace s ON s.oid = n.relnamespace WHERE {_ACROSS}"
        " AND NOT n.oid = ANY(i.tables) ORDER BY 1",
        {"schema": quoted(schema), "tables": list(tables)},
    )
    return [name for (name,) in cursor.fetchall()]


def _lock(cursor: Any, plain_views: Sequence[str], names: Sequence[str]) -> None:
    """Lock all tables that change, in one statement: nothing is waited for after it. Views over
    them come first, as they do when a client reads one.

    LOCK TABLE of a view locks what it reads too, and asks whether the view's owner may do that. An
    ALTER that changes nothing locks the view alone.
    """
    if not names:
        return
    cursor.execute(
        "SELECT format('ALTER VIEW %%s OWNER TO %%s;', v.oid::regclass, v.relowner::regrole)"
        " FROM unnest(%s::text[]) WITH ORDINALITY n(name, number)"
        " JOIN pg_class v ON v.oid = n.name::regclass ORDER BY n.number",
        [list(plain_views)],
    )
    statements = [statement for (statement,) in cursor.fetchall()]
    statements.append(f"LOCK TABLE {', '.join(names)} IN ACCESS EXCLUSIVE MODE;")
    cursor.execute(f"SET LOCAL statement_timeout = {LOCK_TIMEOUT_MS}")
    cursor.execute(f"DO $backup_tasks$ BEGIN {' '.join(statements)} END $backup_tasks$")
    cursor.execute("SET LOCAL statement_timeout TO DEFAULT")


def lock_against_writes(cursor: Any, live: str, tables: Sequence[str]) -> None:
    """Let nobody else write the tables until the transaction ends; readers go on. Raises a
    django.db error after LOCK_TIMEOUT_MS, and the transaction can go on."""
    names = ", ".join(qualified(live, table) for table in tables)
    with transaction.atomic(cursor.db.alias):
        cursor.execute(f"SET LOCAL lock_timeout = {LOCK_TIMEOUT_MS}")
        cursor.execute(f"LOCK TABLE {names} IN SHARE ROW EXCLUSIVE MODE")
        cursor.execute("SET LOCAL lock_timeout TO DEFAULT")


class _CrossingKey(NamedTuple):
    """A foreign key between a table that is replaced and one that stays."""

    comes_from_inside: bool
    table: str
    name: str
    add: str
    """The statements that add it again, by name, once the new tables are live's."""


def _drop_keys_across_swap(
    cursor: Any, schema: str, tables: Sequence[str], live: str
) -> list[_CrossingKey]:
    """Drop the foreign keys between the tables and those that stay where they are, of whatever
    schema; return them."""
    cursor.execute("SELECT set_config('search_path', %s, true)", [quoted(schema)])
    cursor.execute(
        "SELECT k.conrelid = ANY(i.tables), n.nspname, c.relname, k.conname,"
        " pg_get_constraintdef(k.oid), quote_literal(obj_description(k.oid, 'pg_constraint'))"
        f" FROM {_INSIDE}, pg_constraint k JOIN pg_class c ON c.oid = k.conrelid"
        f" JOIN pg_namespace n ON n.oid = c.relnamespace WHERE {_ACROSS} ORDER BY k.oid",
        {"schema": quoted(schema), "tables": list(tables)},
    )
    keys = []
    for inside, owner, table, name, definition, comment in cursor.fetchall():
        cursor.execute(f"ALTER TABLE {qualified(owner, table)} DROP CONSTRAINT {quoted(name)}")
        at = qualified(live if inside else owner, table)
        add = f"ALTER TABLE {at} ADD CONSTRAINT {quoted(name)} {definition}"
        if comment:
            add += f"; COMMENT ON CONSTRAINT {quoted(name)} ON {at} IS {comment}"
        keys.append(_CrossingKey(inside, table, name, add))
    return keys


def _keys_to_add(live_keys: Sequence[_CrossingKey], new_keys: Sequence[_CrossingKey]) -> list[str]:
    """Return the statements that add the foreign keys: those of the new tables, and live's. A kept
    table has none any more, and a clone has none to other schemas: they take those of the tables
    that they replace."""
    added = [key for key in new_keys if key.comes_from_inside]
    names = {key[:3] for key in added}
    return [key.add for key in live_keys if key[:3] not in names] + [key.add for key in added]


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
