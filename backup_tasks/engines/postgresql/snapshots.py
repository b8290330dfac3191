"""One state of a PostgreSQL database for several connections: one exports it, others join it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from backup_tasks.engines.base import ExportedSnapshot, quoted
from backup_tasks.engines.postgresql import row_security
from backup_tasks.errors import DoesNotFit


def begin(cursor: Any, token: str, locked_tables: Sequence[str]) -> None:
    """Let the transaction, which must not have read yet, see one state until its end: a new one, or
    the one that the token tells of. Raises DoesNotFit, django.db errors.

    To a snapshot, a table that is emptied by TRUNCATE or rewritten by ALTER is empty, however old
    the snapshot is. So nobody may do that to the `locked_tables` (`pg_dump` does the same), and the
    snapshot is taken by the first query after that.
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
    # Compiling a query takes longer than it saves, for each of hundreds of models.
    cursor.execute("SET LOCAL jit = off")


def export(cursor: Any, tables: Sequence[str], least: int) -> ExportedSnapshot | None:
    """Let others join what the transaction sees, until it ends, if the tables take that much."""
    cursor.execute(
        "SELECT coalesce(pg_relation_size(to_regclass(name)), 0)"
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
    """Return what tells this database from all others, of any server, and who looks at which schema
    of it."""
    cursor.execute(
        "SELECT concat_ws(' ', extract(epoch FROM pg_postmaster_start_time()), current_database(),"
        " current_schema(), current_user)"
    )
    (found,) = cursor.fetchone()
    return str(found)
