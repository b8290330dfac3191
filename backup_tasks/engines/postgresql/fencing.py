"""Ends what earlier attempts of a run still do in its staging schema (PostgreSQL).

An attempt whose worker was stopped may hold locks there for as long as it stays stopped, and go on
afterwards. What it does is worth nothing: the step belongs to another attempt. So its connections
are ended; those that it opens later find that the schema is not the one that it made.
"""

from __future__ import annotations

from typing import Any

from backup_tasks.engines.base import quoted

_TERMINATION_TIMEOUT_MS = 5000
"""How long a connection is waited for that was told to end."""


def terminate_others(cursor: Any, schema: str) -> None:
    """End the connections of this role that hold locks in the schema, or are making tables in it.

    Nothing happens if there is no such schema.
    """
    cursor.execute(
        "SELECT pg_terminate_backend(a.pid, %s) FROM pg_stat_activity a"
        " WHERE a.usename = current_user AND a.backend_type = 'client backend'"
        " AND a.pid <> pg_backend_pid() AND EXISTS ("
        "  SELECT 1 FROM pg_locks l WHERE l.pid = a.pid AND l.granted"
        "  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        "  AND (l.locktype = 'object' AND l.classid = 'pg_namespace'::regclass"
        "    AND l.objid = to_regnamespace(%s)::oid"
        "   OR l.locktype = 'relation' AND l.relation IN ("
        "    SELECT oid FROM pg_class WHERE relnamespace = to_regnamespace(%s)::oid)))",
        [_TERMINATION_TIMEOUT_MS, quoted(schema), quoted(schema)],
    )
