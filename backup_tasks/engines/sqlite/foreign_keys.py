"""Foreign keys from tables that stay to tables that are replaced (SQLite)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from backup_tasks.engines.base import quoted
from backup_tasks.engines.sqlite.schema import objects


def dangling_after_swap(cursor: Any, tables: Sequence[str]) -> list[str]:
    """Return which tables would have new dangling references after live's `tables` got the rows of
    `source`, and how many, in words. References that dangle already are not counted."""
    found = []
    for each in objects(cursor):
        if each.kind != "table" or each.module or each.name in tables:
            continue
        for parent, pairs in _foreign_keys(cursor, each.name):
            if parent in tables:
                before = _dangling(cursor, each.name, "main", parent, pairs)
                after = _dangling(cursor, each.name, "source", parent, pairs)
                if after > before:
                    found.append(f"{after - before} of {each.name} to {parent}")
    return sorted(found)


def _foreign_keys(cursor: Any, table: str) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Yield the table that each foreign key refers to, and the pairs of columns."""
    keys: dict[int, list[tuple[str, str]]] = defaultdict(list)
    parents = {}
    cursor.execute(f"PRAGMA main.foreign_key_list({quoted(table)})")
    for number, position, parent, column, parent_column, *_ in cursor.fetchall():
        keys[number].append((column, parent_column or _primary_key(cursor, parent)[position]))
        parents[number] = parent
    for number, pairs in keys.items():
        yield parents[number], pairs


def _primary_key(cursor: Any, table: str) -> list[str]:
    found = cursor.execute(f"PRAGMA source.table_info({quoted(table)})").fetchall()
    return [name for _, name, *_, position in sorted(found, key=lambda row: row[5]) if position]


def _dangling(
    cursor: Any, table: str, schema: str, parent: str, pairs: Sequence[tuple[str, str]]
) -> int:
    given = " AND ".join(f"child.{quoted(column)} IS NOT NULL" for column, _ in pairs)
    cursor.execute(
        f"SELECT 1 FROM {schema}.sqlite_master WHERE type = 'table' AND name = %s", [parent]
    )
    if cursor.fetchone():
        same = " AND ".join(
            f"parent.{quoted(other)} = child.{quoted(column)}" for column, other in pairs
        )
        rows = f"SELECT 1 FROM {schema}.{quoted(parent)} parent WHERE {same}"
        given += f" AND NOT EXISTS ({rows})"
    cursor.execute(f"SELECT count(*) FROM main.{quoted(table)} child WHERE {given}")
    (count,) = cursor.fetchone()
    return int(count)
