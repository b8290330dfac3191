"""Removes a staging or undo schema, and nothing outside it (PostgreSQL).

Objects outside may depend on objects inside: a table in the undo schema is the one that live had,
so a child table, a function, a foreign key of another schema, a partition or a publication may
still refer to it (T25). So nothing is dropped with CASCADE, and what PostgreSQL drops without
CASCADE is looked for first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import DatabaseError, connections, transaction

from backup_tasks.engines.base import quoted
from backup_tasks.engines.stopped_client import bounded_transaction
from backup_tasks.errors import StillReferenced

_DEPENDENT_OBJECTS_STILL_EXIST = "2BP01"
"""SQLSTATE dependent_objects_still_exist."""
_VIEW_KINDS = ("view", "materialized view")
_DROP_KEYWORDS = {"statistics object": "STATISTICS"}
"""The keyword of DROP for each type that pg_identify_object calls otherwise."""
_MAX_EXAMPLES = 5
"""How many dependent objects a message names."""

# PostgreSQL drops partitions and extended statistics with a table, and removes it from publications
# and subscriptions, without CASCADE.
_IMPLICITLY_DROPPED = """
    WITH inside AS (SELECT oid FROM pg_class WHERE relnamespace = %(schema)s::regnamespace)
    SELECT pg_describe_object(d.classid, d.objid, d.objsubid)
      FROM pg_depend d
      JOIN inside ON d.refclassid = 'pg_class'::regclass AND d.refobjid = inside.oid
     WHERE d.classid = to_regclass('pg_catalog.pg_publication_rel')
        OR d.classid = 'pg_class'::regclass AND EXISTS (
           SELECT 1 FROM pg_class c WHERE c.oid = d.objid AND c.relkind IN ('r', 'p', 'f')
              AND c.relnamespace <> %(schema)s::regnamespace AND d.deptype <> 'n')
        OR d.classid = 'pg_statistic_ext'::regclass AND EXISTS (
           SELECT 1 FROM pg_statistic_ext x WHERE x.oid = d.objid
              AND x.stxnamespace <> %(schema)s::regnamespace)
     UNION
    SELECT pg_describe_object(d.classid, d.objid, d.objsubid) FROM pg_depend d
     WHERE d.refclassid = 'pg_namespace'::regclass AND d.refobjid = %(schema)s::regnamespace
       AND d.classid = to_regclass('pg_catalog.pg_publication_namespace')
     UNION
    SELECT 'subscription ' || s.subname FROM pg_subscription_rel r
      JOIN inside ON r.srrelid = inside.oid JOIN pg_subscription s ON s.oid = r.srsubid
     ORDER BY 1
"""

# Everything in the schema except what a table owns (its sequences, for example): that is dropped
# with the table.
_CONTENTS = """
    SELECT o.type, o.identity
      FROM pg_depend d, pg_identify_object(d.classid, d.objid, 0) o
     WHERE d.refclassid = 'pg_namespace'::regclass AND d.refobjid = %s::regnamespace
       AND d.deptype = 'n' AND NOT EXISTS (
           SELECT 1 FROM pg_depend s WHERE s.classid = d.classid AND s.objid = d.objid
              AND s.refclassid = 'pg_class'::regclass AND s.refobjid <> s.objid
              AND s.deptype IN ('a', 'i'))
     ORDER BY o.type = 'table', d.objid DESC
"""


def remove_schema(alias: str, schema: str) -> None:
    """Drop a schema and all that is in it, in one transaction. Does nothing if it does not exist.

    Raises StillReferenced, and drops nothing, if an object outside depends on one inside.
    """
    with bounded_transaction(alias), connections[alias].cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_namespace WHERE nspname = %s", [schema])
        if not cursor.fetchone():
            return
        _lock_tables(cursor, schema)
        _refuse_implicit_drops(cursor, schema)
        _drop_foreign_keys(cursor, schema)
        _drop_contents(alias, cursor, schema)
        if dependents := _try_drop(alias, cursor, f"DROP SCHEMA {quoted(schema)}"):
            raise _still_referenced(schema, dependents)


def _lock_tables(cursor: Any, schema: str) -> None:
    """Lock the tables, so that no new object can depend on them."""
    cursor.execute(
        "SELECT relname FROM pg_class WHERE relnamespace = %s::regnamespace"
        " AND relkind IN ('r', 'p') AND NOT relispartition ORDER BY relname",
        [quoted(schema)],
    )
    names = [f"{quoted(schema)}.{quoted(name)}" for (name,) in cursor.fetchall()]
    if names:
        cursor.execute(f"LOCK TABLE ONLY {', ONLY '.join(names)} IN ACCESS EXCLUSIVE MODE")


def _refuse_implicit_drops(cursor: Any, schema: str) -> None:
    cursor.execute(_IMPLICITLY_DROPPED, {"schema": quoted(schema)})
    if found := [name for (name,) in cursor.fetchall()]:
        raise _still_referenced(schema, found)


def _drop_foreign_keys(cursor: Any, schema: str) -> None:
    """Drop the foreign keys between tables of the schema."""
    cursor.execute(
        "SELECT c.relname, k.conname FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid"
        " JOIN pg_class o ON o.oid = k.confrelid WHERE k.contype = 'f' AND k.conparentid = 0"
        " AND c.relnamespace = %s::regnamespace AND o.relnamespace = c.relnamespace",
        [quoted(schema)],
    )
    for table, key in cursor.fetchall():
        cursor.execute(
            f"ALTER TABLE {quoted(schema)}.{quoted(table)} DROP CONSTRAINT {quoted(key)}"
        )


def drop_views(alias: str, cursor: Any, schema: str) -> None:
    """Drop the views of a staging or undo schema, and the functions in it that depend on them.

    Raises StillReferenced.
    """
    try:
        _drop_contents(alias, cursor, schema, _VIEW_KINDS)
    except StillReferenced:
        _drop_contents(
            alias, cursor, schema, _VIEW_KINDS, also=("function", "procedure", "aggregate")
        )


def _drop_contents(
    alias: str, cursor: Any, schema: str, kinds: Sequence[str] = (), also: Sequence[str] = ()
) -> None:
    """Drop the contents of a schema, or those of the given kinds. Objects of the kinds in `also`
    are dropped along with these.

    Views, functions, types and tables may depend on one another in any order, so it tries again
    until nothing more can be dropped.
    """
    count_before = -1
    while True:
        cursor.execute(_CONTENTS, [quoted(schema)])
        inside: list[tuple[str, str]] = [
            found for found in cursor.fetchall() if not kinds or found[0] in (*kinds, *also)
        ]
        if not any(kind not in also for kind, _ in inside):
            return
        tables = [name for kind, name in inside if kind == "table"]
        statements = [
            # IF EXISTS, since a range type drops its multirange type.
            f"DROP {_DROP_KEYWORDS.get(kind, kind)} IF EXISTS {name}"
            for kind, name in inside
            if kind != "table"
        ]
        if tables:  # in one statement, since tables may inherit from one another
            statements.append(f"DROP TABLE {', '.join(tables)}")
        dependents = [
            found for statement in statements if (found := _try_drop(alias, cursor, statement))
        ]
        if len(inside) == count_before:
            raise _still_referenced(schema, [line for found in dependents for line in found])
        count_before = len(inside)


def _try_drop(alias: str, cursor: Any, statement: str) -> list[str]:
    """Execute a DROP. Return what depends on its objects, a line each; nothing if it worked."""
    try:
        with transaction.atomic(alias):
            cursor.execute(statement)
    except DatabaseError as error:
        cause = error.__cause__
        if getattr(cause, "sqlstate", None) != _DEPENDENT_OBJECTS_STILL_EXIST:
            raise
        return str(getattr(cause, "diag").message_detail or cause).splitlines()  # noqa: B009
    return []


def _still_referenced(schema: str, found: Sequence[str]) -> StillReferenced:
    outside = [line for line in dict.fromkeys(found) if not _is_inside(line, schema)] or found
    more = f"; and {len(outside) - _MAX_EXAMPLES} more" if len(outside) > _MAX_EXAMPLES else ""
    return StillReferenced(
        "not dropped, since objects outside depend on what is in it: "
        + "; ".join(outside[:_MAX_EXAMPLES])
        + more,
        obj=f"schema {schema}",
        hint="They use old tables, which live does not have any more. Drop them, or create them "
        "anew over live's tables; then the next prune_packages removes the schema.",
    )


def _is_inside(line: str, schema: str) -> bool:
    """Whether the object that depends on another is in the schema. The line is PostgreSQL's:
    "view a.b depends on table a.c"."""
    dependent = line.partition(" depends on ")[0]
    return f" {schema}." in dependent or f' "{schema}".' in dependent
