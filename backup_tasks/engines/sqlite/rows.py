"""Replaces the rows of tables while their indexes and triggers are dropped."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from django.db import DatabaseError

from backup_tasks.engines.base import quoted
from backup_tasks.engines.sqlite.schema import objects, of_tables
from backup_tasks.engines.sqlite.virtual_tables import REMEDY, VirtualTables
from backup_tasks.errors import DoesNotFit


@contextmanager
def emptied(cursor: Any, tables: Sequence[str], virtual: VirtualTables) -> Iterator[None]:
    """Inside, the tables of `main` are empty and without indexes, and have only the triggers that
    fill virtual tables. At the end, indexes, triggers and the statistics of ANALYZE are made again.
    Call it in a transaction."""
    dropped = [
        each
        for each in of_tables(objects(cursor), tables)
        if each.kind != "table" and each.name not in virtual.filling
    ]
    statistics = _statistics(cursor)
    for each in dropped:
        cursor.execute(f"DROP {each.kind} main.{quoted(each.name)}")
    for table in tables:
        try:
            cursor.execute(f"DELETE FROM main.{quoted(table)}")
        except DatabaseError as error:
            if table not in virtual.filled_from:
                raise
            raise DoesNotFit(
                f"the triggers of table {table} can't delete its rows: {error}",
                obj=f"table {table}",
                hint=REMEDY,
            ) from error
    yield
    for each in dropped:
        cursor.execute(each.sql)
    virtual.rebuild(cursor)
    _keep_statistics(cursor, statistics)


def _statistics(cursor: Any) -> dict[str, list[tuple[Any, ...]]]:
    """Return the rows of the tables that ANALYZE writes, a few for each index. SQLite deletes them
    when an index is dropped."""
    cursor.execute("SELECT name FROM main.sqlite_master WHERE name GLOB 'sqlite_stat[0-9]'")
    found = {}
    for (name,) in cursor.fetchall():
        found[name] = cursor.execute(f"SELECT * FROM main.{quoted(name)}").fetchall()
    return found


def _keep_statistics(cursor: Any, statistics: dict[str, list[tuple[Any, ...]]]) -> None:
    for name, rows in statistics.items():
        cursor.execute(f"DELETE FROM main.{quoted(name)}")
        for row in rows:
            values = ", ".join(["%s"] * len(row))
            cursor.execute(f"INSERT INTO main.{quoted(name)} VALUES ({values})", row)
