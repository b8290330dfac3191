"""The structure of live's tables as a promote has left it, in a table of the undo file.

An undo to other migrations copies the old structure, so what was added to live's since then would
be lost: an index, a trigger, a column. With the same migrations live's structure stays, and only
the values of columns that were added are lost.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from backup_tasks.engines.sqlite.schema import (
    STRUCTURE_TABLE,
    SchemaObject,
    columns,
    has_same_migrations,
    objects,
    of_tables,
)

_ACCEPTED = "accepted"


def record(kept: Any, found: Sequence[SchemaObject]) -> None:
    """Write how live is made into the undo file, to which the cursor leads."""
    kept.execute(f"CREATE TABLE {STRUCTURE_TABLE} (kind TEXT, name TEXT, tbl TEXT, sql TEXT)")
    kept.executemany(
        f"INSERT INTO {STRUCTURE_TABLE} VALUES (%s, %s, %s, %s)",
        [[each.kind, each.name, each.table, each.sql] for each in found],
    )


def accept(kept: Any) -> None:
    """Let a promote of the undo file go on with what `changes` tells."""
    if _exists(kept, "main"):
        kept.execute(f"INSERT INTO {STRUCTURE_TABLE} (kind) VALUES ('{_ACCEPTED}')")


def is_accepted(cursor: Any) -> bool:
    """Whether that of the attached file `source` was accepted."""
    return _exists(cursor, "source") and (_ACCEPTED, None, None, None) in _recorded(cursor)


def changes(cursor: Any, tables: Sequence[str]) -> list[str]:
    """Return, in words, what has changed in live's structure since the undo file, `source`, was
    made, and a promote of it would lose. Nothing of a file of an earlier version."""
    if not _exists(cursor, "source") or is_accepted(cursor):
        return []
    if has_same_migrations(cursor, "source"):
        return sorted(
            f"{table}: column {name} was added"
            for table in tables
            for name in columns(cursor, table)
            if name not in columns(cursor, table, "source")
        )
    old = [SchemaObject(kind=k, name=n, table=t, sql=s) for k, n, t, s in _recorded(cursor)]
    now = objects(cursor)
    return sorted(_changes(_lost(old, cursor, now, tables), _lost(now, cursor, now, tables)))


def _lost(
    found: Sequence[SchemaObject], cursor: Any, now: Sequence[SchemaObject], tables: Sequence[str]
) -> dict[tuple[str, str], SchemaObject]:
    """Return, of these, what a promote replaces: the tables, with what hangs on them, and views
    that the undo file has otherwise."""
    replaced = {(each.name, each.sql) for each in objects(cursor, "source") if each.kind == "view"}
    views = {name for name, _ in replaced}
    views -= {each.name for each in now if (each.name, each.sql) in replaced}
    kept = [each for each in found if each.table in views]
    return {(each.kind, each.name): each for each in (*of_tables(found, tables), *kept)}


def _changes(
    old: dict[tuple[str, str], SchemaObject], now: dict[tuple[str, str], SchemaObject]
) -> Iterator[str]:
    for key in old.keys() | now.keys():
        each = now.get(key) or old[key]
        if key in old and key in now and old[key].sql == now[key].sql:
            continue
        word = "was changed"
        if key not in old or key not in now:
            word = "was added" if key in now else "was removed"
        name = "" if each.name == each.table else f"{each.table}: "
        yield f"{name}{each.kind} {each.name} {word}"


def _exists(cursor: Any, schema: str) -> bool:
    cursor.execute(f"SELECT 1 FROM {schema}.sqlite_master WHERE name = %s", [STRUCTURE_TABLE])
    return cursor.fetchone() is not None


def _recorded(cursor: Any) -> list[Any]:
    cursor.execute(f"SELECT kind, name, tbl, sql FROM source.{STRUCTURE_TABLE}")
    return list(cursor.fetchall())
