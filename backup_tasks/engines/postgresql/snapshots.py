"""Snapshots of PostgreSQL: one connection exports its snapshot, others join it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from backup_tasks.engines.base import ExportedSnapshot, quoted
from backup_tasks.engines.postgresql import row_security
from backup_tasks.errors import DoesNotFit


def begin(cursor: Any, token: str, locked_tables: Sequence[str]) -> None:
    """Give the transaction a snapshot: a new one, or the exported one of the token. The transaction
    must not have read anything yet. Raises DoesNotFit if the token is of another database, and
    django.db errors.

    TRUNCATE, and an ALTER TABLE that rewrites a table, make it empty for older snapshots too. So
    the tables are locked against both, as `pg_dump` does, before the first query takes the
    snapshot.
    """
    cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
    cursor.execute(row_security.OFF)
    if locked_tables:
        cursor.execute(f"LOCK TABLE {', '.join(locked_tables)} IN ACCESS SHARE MODE")
    if token:
        snapshot, _, expected = token.partition(" ")
        cursor.execute("SET TRANSACTION SNAPSHOT %s", [snapshot])
        if database_identity(cursor) != expected:
            raise DoesNotFit("the settings lead to another database", obj=database_identity(cursor))
    # There is a query per model. JIT compilation would take longer than it saves.
    cursor.execute("SET LOCAL jit = off")


def export(cursor: Any, tables: Sequence[str], least: int) -> ExportedSnapshot | None:
    """Export the transaction's snapshot, which others can join until it ends. Return None if the
    tables have fewer bytes than `least`."""
    cursor.execute(
        "SELECT coalesce(pg_relation_size(to_regclass(name)), 0)"
        "  + coalesce((SELECT sum(pg_relation_size(relid)) FROM pg_partition_tree("
        "     to_regclass(name)) WHERE relid <> to_regclass(name)), 0)::bigint"
        " FROM unnest(%s::text[]) WITH ORDINALITY t(name, number) ORDER BY number",
        [[quoted(table) for table in tables]],
    )
    sizes = [size for (size,) in cursor.fetchall()]
    if sum(sizes) < least:
        return None
    cursor.execute("SELECT pg_export_snapshot()")
    (snapshot,) = cursor.fetchone()
    return ExportedSnapshot(token=f"{snapshot} {database_identity(cursor)}", sizes=sizes)


def database_identity(cursor: Any) -> str:
    """Return what identifies the database among those of all servers, with the schema and the role
    of the connection."""
    cursor.execute(
        "SELECT concat_ws(' ', extract(epoch FROM pg_postmaster_start_time()), current_database(),"
        " current_schema(), current_user)"
    )
    (found,) = cursor.fetchone()
    return str(found)
