"""The lock table of a PostgreSQL server: one transaction that copies many tables may fill it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from backup_tasks.engines.base import quoted
from backup_tasks.engines.postgresql.partitions import with_partitions
from backup_tasks.errors import DoesNotFit

_LOCKS_PER_RELATION = 2.5
"""That a clone takes for each table, index, sequence and TOAST table of live: measured."""


def refuse_too_small(cursor: Any, schema: str, tables: Sequence[str]) -> None:
    """Raise DoesNotFit if the server can't hold the locks of a clone of the tables at a time."""
    cursor.execute(
        "SELECT count(*) FROM pg_class c WHERE c.oid IN ("
        " SELECT unnest(ARRAY[t.oid, t.reltoastrelid, x.indexrelid, s.objid, i.indexrelid])"
        "   FROM pg_class t LEFT JOIN pg_index x ON x.indrelid = t.oid"
        "   LEFT JOIN pg_index i ON i.indrelid = t.reltoastrelid"
        "   LEFT JOIN pg_depend s ON s.refobjid = t.oid AND s.classid = 'pg_class'::regclass"
        "    AND s.refclassid = 'pg_class'::regclass AND s.deptype IN ('a', 'i')"
        "  WHERE t.relnamespace = to_regnamespace(%s) AND t.relname = ANY(%s))",
        [quoted(schema), with_partitions(cursor, schema, tables)],
    )
    needed = int(cursor.fetchone()[0] * _LOCKS_PER_RELATION)
    cursor.execute(
        "SELECT current_setting('max_connections')::int"
        " + current_setting('max_prepared_transactions')::int,"
        " current_setting('max_locks_per_transaction')::int"
    )
    sessions, each = cursor.fetchone()
    if needed > sessions * each:
        raise DoesNotFit(
            f"a copy of the structure of {len(tables)} tables takes about {needed:,} locks in one "
            f"transaction, and the server has room for {sessions * each:,}",
            obj=f"schema {schema}",
            hint="Live data was not touched. Set max_locks_per_transaction of the server to "
            f"{needed // sessions + 1} or more, and restart it.",
        )
