"""Finds what a PostgreSQL transaction changed outside the staging schema.

A transaction that writes to a table, alters it or advances a sequence holds a lock on it until it
ends, and the server lists these locks. Functions, types, grants and the like are rows of the system
catalogs: `xmin` names the transaction that wrote a row, and dropping an object locks it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

# Reading takes ACCESS SHARE, the check of a foreign key ROW SHARE: neither changes anything. But
# code that was to find staging's tables, and reads live's, would go by the wrong rows. Tables of
# extensions are nobody's but the extension's.
_LOCKED_RELATIONS = """
    SELECT DISTINCT format('%%I.%%I', n.nspname, c.relname), c.relkind::text, l.mode
      FROM pg_locks l JOIN pg_class c ON c.oid = l.relation
      JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE l.pid = pg_backend_pid() AND l.locktype = 'relation' AND l.granted
       AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
       AND (l.mode NOT IN ('AccessShareLock', 'RowShareLock') OR n.nspname = %s AND NOT EXISTS (
            SELECT 1 FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
               AND d.deptype = 'e'))
       AND n.nspname <> %s AND n.nspname <> 'information_schema' AND c.relkind <> 'i'
       AND NOT starts_with(n.nspname, 'pg_')
     ORDER BY 1
"""

_CATALOGS_WITH_SCHEMA = {
    "pg_class": "relnamespace",
    "pg_collation": "collnamespace",
    "pg_conversion": "connamespace",
    "pg_opclass": "opcnamespace",
    "pg_operator": "oprnamespace",
    "pg_opfamily": "opfnamespace",
    "pg_proc": "pronamespace",
    "pg_statistic_ext": "stxnamespace",
    "pg_ts_config": "cfgnamespace",
    "pg_ts_dict": "dictnamespace",
    "pg_type": "typnamespace",
}
_CATALOGS_WITHOUT_SCHEMA = (
    "pg_am",
    "pg_default_acl",
    "pg_event_trigger",
    "pg_extension",
    "pg_foreign_data_wrapper",
    "pg_foreign_server",
    "pg_language",
    "pg_publication",
    "pg_transform",
)
_LOCKABLE_CATALOGS = (
    *(name for name in _CATALOGS_WITH_SCHEMA if name != "pg_class"),
    *_CATALOGS_WITHOUT_SCHEMA,
    "pg_cast",
    "pg_largeobject",
    "pg_namespace",
)

# A transaction does not see what it has dropped, but it still holds the locks.
_DROPPED_OBJECTS = f"""
    SELECT 'pg_class'::regclass::oid::bigint, relation::bigint FROM pg_locks
     WHERE pid = pg_backend_pid() AND locktype = 'relation' AND granted
       AND mode = 'AccessExclusiveLock'
       AND NOT EXISTS (SELECT 1 FROM pg_class WHERE pg_class.oid = relation)
     UNION ALL
    SELECT classid::bigint, objid::bigint FROM pg_locks
     WHERE pid = pg_backend_pid() AND locktype = 'object' AND granted
       AND mode IN ('AccessExclusiveLock', 'ExclusiveLock', 'ShareUpdateExclusiveLock')
       AND classid IN ({", ".join(f"'{name}'::regclass" for name in _LOCKABLE_CATALOGS)})
"""

_OTHER_ROWS = (
    (
        "SELECT 'pg_type', t.oid, e.xmin FROM pg_enum e JOIN pg_type t ON t.oid = e.enumtypid"
        " WHERE t.typnamespace NOT IN (SELECT oid FROM inside)"
    ),
    (
        "SELECT 'pg_type', k.contypid, k.xmin FROM pg_constraint k"
        " WHERE k.contypid <> 0 AND k.connamespace NOT IN (SELECT oid FROM inside)"
    ),
    (
        "SELECT 'pg_class', c.oid, a.xmin FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid"
        " WHERE a.attacl IS NOT NULL AND c.relnamespace NOT IN (SELECT oid FROM inside)"
    ),
    # One from or to a type of staging's is of no use elsewhere; a range type brings one.
    (
        "SELECT 'pg_cast', k.oid, k.xmin FROM pg_cast k WHERE NOT EXISTS (SELECT 1 FROM pg_type t"
        " WHERE t.oid IN (k.castsource, k.casttarget)"
        " AND t.typnamespace IN (SELECT oid FROM inside))"
    ),
    "SELECT 'pg_namespace', oid, xmin FROM pg_namespace WHERE oid NOT IN (SELECT oid FROM inside)",
    "SELECT 'pg_database', setdatabase, xmin FROM pg_db_role_setting",
    "SELECT 'pg_database', oid, xmin FROM pg_database",
    "SELECT 'pg_largeobject', oid, xmin FROM pg_largeobject_metadata",
)
_CATALOG_ROWS = " UNION ALL ".join(
    (
        *(
            f"SELECT '{name}', oid, xmin FROM {name} WHERE {schema} NOT IN (SELECT oid FROM inside)"
            for name, schema in _CATALOGS_WITH_SCHEMA.items()
        ),
        *(f"SELECT '{name}', oid, xmin FROM {name}" for name in _CATALOGS_WITHOUT_SCHEMA),
        *_OTHER_ROWS,
    )
)
# Rows whose xmin is the id of this transaction or a later one. A later id may be a subtransaction
# of this one, or another transaction. xmin has 32 bits, so it may also be an old row's, from before
# the counter wrapped around.
_WRITTEN_ROWS = f"""
    WITH inside AS (SELECT oid FROM pg_namespace WHERE nspname = %s
                        OR nspname = 'pg_toast' OR nspname ~ '^pg_(toast_)?temp_'),
         mine AS (SELECT pg_current_xact_id_if_assigned()::text::bigint AS top),
         rows (class, oid, xmin) AS ({_CATALOG_ROWS}),
         since AS (SELECT class, oid, top,
                          (xmin::text::bigint - top %% 4294967296 + 4294967296) %% 4294967296 AS later
                     FROM rows, mine)
    SELECT class, oid::bigint, top + later FROM since WHERE later < 2147483648
"""  # noqa: E501

Connect = Callable[[], AbstractContextManager[Any]]
"""Gives a cursor of another connection to the same database, in autocommit mode."""


class Relations(NamedTuple):
    """Tables, views and sequences that a transaction changed outside, or read in live."""

    names: list[str]
    """With the mode of the lock."""
    sequences: set[str]
    """The sequences among them, qualified. A rollback does not undo nextval and setval."""


def relations(cursor: Any, schema: str, live: str | None) -> Relations:
    """Return what the cursor's transaction has locked outside of the schema so far.

    Where code of the project's may have run, `live` is live's schema: what is in it may not even be
    read then.
    """
    cursor.execute(_LOCKED_RELATIONS, [live, schema])
    locked = cursor.fetchall()
    return Relations(
        names=[f"{_KINDS.get(kind, 'table')} {name} ({mode})" for name, kind, mode in locked],
        sequences={name for name, kind, _ in locked if kind == _SEQUENCE},
    )


_SEQUENCE = "S"
_KINDS = {_SEQUENCE: "sequence", "v": "view", "m": "materialized view", "f": "foreign table"}


def objects(cursor: Any, schema: str, connect: Connect) -> list[str]:
    """Return functions, types, grants and other rows of the system catalogs that the cursor's
    transaction has made, changed or dropped outside of the schema so far."""
    cursor.execute("SELECT pg_current_xact_id_if_assigned() IS NOT NULL")
    if cursor.fetchone() != (True,):
        return []
    cursor.execute(_WRITTEN_ROWS, [schema])
    written = _uncommitted(cursor, cursor.fetchall(), connect)
    cursor.execute(_DROPPED_OBJECTS)
    dropped = cursor.fetchall()
    names = []
    for catalog, oid in written:
        cursor.execute("SELECT pg_describe_object(%s::regclass, %s::oid, 0)", [catalog, oid])
        names += [name for (name,) in cursor.fetchall() if name]
    return [*dict.fromkeys(names + _outside_schema(dropped, schema, connect))]


def _uncommitted(
    cursor: Any, rows: Sequence[tuple[str, int, int]], connect: Connect
) -> list[tuple[str, int]]:
    """Return the rows that this transaction wrote: no other uncommitted rows are visible."""
    if not rows:
        return []
    with connect() as other:
        # The next transaction id: greater than that of every row.
        other.execute("SELECT pg_current_xact_id()::text::bigint")
        (unused,) = other.fetchone()
    uncommitted = []
    for catalog, oid, transaction in rows:
        if transaction < unused:
            cursor.execute("SELECT pg_xact_status(%s::text::xid8)", [str(transaction)])
            if cursor.fetchone() == ("in progress",):
                uncommitted.append((catalog, oid))
    return uncommitted


def _outside_schema(objects: Sequence[tuple[int, int]], schema: str, connect: Connect) -> list[str]:
    """Describe the objects that are outside the schema, as other transactions still see them."""
    if not objects:
        return []
    with connect() as other:
        other.execute(
            "SELECT pg_describe_object(t.class::oid, t.obj::oid, 0)"
            " FROM unnest(%s::bigint[], %s::bigint[]) t(class, obj),"
            " LATERAL pg_identify_object(t.class::oid, t.obj::oid, 0) o"
            " WHERE o.identity IS NOT NULL AND o.schema IS DISTINCT FROM quote_ident(%s)"
            " AND NOT (t.class = 'pg_namespace'::regclass::oid AND o.identity = quote_ident(%s))"
            " AND o.identity !~ '^pg_(toast_)?temp'"
            # A table's rows out of line: the lock on the table shows who alters it.
            " AND o.schema IS DISTINCT FROM 'pg_toast'"
            # Objects of a table, such as triggers, have no schema. The table's lock shows them.
            " AND NOT (o.schema IS NULL AND position(%s IN o.identity) > 0)",
            [[c for c, _ in objects], [o for _, o in objects], schema, schema, f"{schema}."],
        )
        return [f"{name} (dropped or altered)" for (name,) in other.fetchall()]
