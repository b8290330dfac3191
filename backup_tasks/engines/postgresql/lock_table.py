"""The lock table of a PostgreSQL server: one transaction that makes, swaps or drops many tables may
fill it.

A clone, a swap, its rehearsal and the removal of a schema each are one transaction. The most locks
are held where staging, the stand-in of a rehearsal or an undo schema is dropped: one for each
object that goes with a table. A swap, and the stand-in for it, take more of them for what is over
the tables, or refers to them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from backup_tasks.engines.base import quoted
from backup_tasks.engines.postgresql.partitions import with_partitions
from backup_tasks.errors import DoesNotFit

_PER_MATERIALIZED_VIEW = 4
_PER_FUNCTION = 1
_PER_CROSSING_KEY = 8
"""Locks beyond those for the objects that go with the tables: measured."""
_CATALOGS = 60
"""Locks on the system catalogs and their indexes: measured, 25 to 55."""

_NEEDED = """
    WITH RECURSIVE replaced (oid) AS (
        SELECT oid FROM pg_class
         WHERE relnamespace = to_regnamespace(%(schema)s) AND relname = ANY(%(tables)s)
           AND relkind IN ('r', 'p')),
    rules (oid, relation) AS (
        SELECT DISTINCT w.oid, w.ev_class FROM pg_depend d JOIN pg_rewrite w ON w.oid = d.objid
          JOIN replaced r ON d.refobjid = r.oid
         WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass
           AND w.ev_class <> r.oid),
    going (class, oid) AS (
        SELECT 'pg_class'::regclass::oid, oid FROM replaced
         UNION
        SELECT 'pg_class'::regclass::oid, relation FROM rules
         UNION
        SELECT d.classid, d.objid FROM going g
          JOIN pg_depend d ON d.refclassid = g.class AND d.refobjid = g.oid
         WHERE d.deptype IN ('a', 'i', 'P', 'S'))
    SELECT (SELECT count(*) FROM going)
           + %(view)s * (SELECT count(DISTINCT v.oid) FROM rules JOIN pg_class v
               ON v.oid = relation AND v.relkind = 'm')
           + %(function)s * (SELECT count(DISTINCT d.objid) FROM pg_depend d JOIN replaced r
               ON d.refobjid = r.oid AND d.refclassid = 'pg_class'::regclass
               AND d.classid = 'pg_proc'::regclass)
           + %(key)s * (SELECT count(*) FROM pg_constraint k WHERE k.contype = 'f'
               AND (k.conrelid IN (SELECT oid FROM replaced))
                <> (k.confrelid IN (SELECT oid FROM replaced)))
"""
# Source: NLOCKENTS in src/backend/storage/lmgr/lock.c, MaxBackends in utils/init/postinit.c.
_ROOM = """
    SELECT coalesce(sum(setting::int), 0) + 1, current_setting('max_locks_per_transaction')::int
      FROM pg_settings
     WHERE name IN ('max_connections', 'max_prepared_transactions', 'max_worker_processes',
                    'max_wal_senders', 'autovacuum_worker_slots')
        OR name = 'autovacuum_max_workers'
           AND current_setting('autovacuum_worker_slots', true) IS NULL
"""


def refuse_too_small(cursor: Any, schema: str, tables: Sequence[str]) -> None:
    """Raise DoesNotFit if the server can't hold the locks that one transaction takes when the
    tables are cloned, swapped, or dropped afterwards."""
    needed = locks_needed(cursor, schema, tables)
    cursor.execute(_ROOM)
    sessions, each = cursor.fetchone()
    if needed > sessions * each:
        raise DoesNotFit(
            f"to clone, promote and drop {len(tables)} tables takes about {needed:,} locks in one "
            f"transaction, and the server has room for {sessions * each:,}",
            obj=f"schema {schema}",
            hint="Live data was not touched. Set max_locks_per_transaction of the server to "
            f"{needed // sessions + 1} or more, and restart it.",
        )


def locks_needed(cursor: Any, schema: str, tables: Sequence[str]) -> int:
    """Return how many locks the largest transaction of a clone or a promote of the tables takes."""
    asked = {
        "schema": quoted(schema),
        "tables": with_partitions(cursor, schema, tables),
        "view": _PER_MATERIALIZED_VIEW,
        "function": _PER_FUNCTION,
        "key": _PER_CROSSING_KEY,
    }
    cursor.execute(_NEEDED, asked)
    return int(cursor.fetchone()[0]) + _CATALOGS
