"""Ends the connections that earlier attempts of a run have to its staging schema (PostgreSQL).

A suspended worker may hold locks there for as long as it is suspended, and continue afterwards,
although its step belongs to another attempt. So its connections are terminated. Connections that it
opens later find another oid for the schema, and are refused.
"""

from __future__ import annotations

from typing import Any

from backup_tasks.engines.base import quoted

_TERMINATION_TIMEOUT_MS = 5000
"""How long pg_terminate_backend waits for a connection to end."""


def terminate_others(cursor: Any, schema: str) -> None:
    """Terminate the other connections of this role that hold locks on the schema or its tables.

    Does nothing if there is no such schema.
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
