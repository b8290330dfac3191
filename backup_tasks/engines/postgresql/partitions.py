"""Partitions of PostgreSQL tables.

A partition is a table of its own, with a name, indexes, constraints, triggers and grants of its
own. No model names it: its rows are those of the table that it is a part of. So what is done to the
table of a model is done to its partitions of all levels too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from django.db import IntegrityError

from backup_tasks.engines.base import quoted
from backup_tasks.errors import DoesNotFit

TREE = """
    WITH RECURSIVE tree AS (
        SELECT c.oid, c.relname, c.relnamespace, c.relkind FROM pg_class c
         WHERE c.relnamespace = to_regnamespace(%s) AND c.relname = ANY(%s)
         UNION
        SELECT c.oid, c.relname, c.relnamespace, c.relkind
          FROM tree JOIN pg_inherits h ON h.inhparent = tree.oid
          JOIN pg_class c ON c.oid = h.inhrelid AND c.relispartition
           AND c.relkind IN ('r', 'p', 'f'))
"""
"""The relations of those names, and the partitions that they have, wherever these are."""


def with_partitions(cursor: Any, schema: str, names: Sequence[str]) -> list[str]:
    """Return the names, and those of their partitions of all levels in the same schema."""
    cursor.execute(
        TREE + "SELECT relname FROM tree WHERE relnamespace = to_regnamespace(%s) ORDER BY relname",
        [quoted(schema), list(names), quoted(schema)],
    )
    return [*dict.fromkeys((*names, *(name for (name,) in cursor.fetchall())))]


def refuse_without(cursor: Any, live: str, schema: str, tables: Sequence[str]) -> None:
    """Raise DoesNotFit if a partitioned table of the schema has no partition, and live's has: every
    INSERT would fail."""
    cursor.execute(
        "SELECT n.relname FROM pg_class n JOIN pg_class o ON o.relname = n.relname"
        "  AND o.relnamespace = to_regnamespace(%s) AND o.relkind = 'p'"
        " WHERE n.relnamespace = to_regnamespace(%s) AND n.relkind = 'p' AND n.relname = ANY(%s)"
        " AND EXISTS (SELECT 1 FROM pg_inherits h WHERE h.inhparent = o.oid)"
        " AND NOT EXISTS (SELECT 1 FROM pg_inherits h WHERE h.inhparent = n.oid) ORDER BY 1",
        [quoted(live), quoted(schema), list(tables)],
    )
    if found := [name for (name,) in cursor.fetchall()]:
        raise DoesNotFit(
            f"no partition would be left of {', '.join(found)}: every INSERT would fail",
            obj=f"table {found[0]}",
            hint="Live data was not touched. No migration makes the partitions that live has. Let "
            "one make them, or at least a DEFAULT partition; or don't build the tables by the "
            "migrations.",
        )


_CHECK_VIOLATION = "23514"
"""SQLSTATE. Where no partition takes a row, the error names no constraint."""


@contextmanager
def explained(table: str) -> Iterator[None]:
    """Raise DoesNotFit for a row that no partition of the table takes."""
    try:
        yield
    except IntegrityError as error:
        cause: Any = error.__cause__
        if cause.sqlstate != _CHECK_VIOLATION or cause.diag.constraint_name:
            raise
        raise DoesNotFit(
            f"live has no partition for a row of the package: {error}",
            obj=f"table {table}",
            hint="Live data was not touched. Give the table a partition for such rows, or a "
            "DEFAULT partition, and start the run again.",
        ) from error
