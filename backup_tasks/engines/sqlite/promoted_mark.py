"""The mark of a promote whose record is in another database: a table of the live file, written in
the promote's transaction and removed when the promote is recorded."""

from __future__ import annotations

from django.db.backends.base.base import BaseDatabaseWrapper

_TABLE = "backup_tasks_promoted"


def is_there(live: BaseDatabaseWrapper, keep: str) -> bool:
    """Whether the promote that keeps live's tables in `keep` is marked."""
    with live.cursor() as cursor:
        cursor.execute("SELECT 1 FROM main.sqlite_master WHERE name = %s", [_TABLE])
        if cursor.fetchone() is None:
            return False
        cursor.execute(f"SELECT 1 FROM main.{_TABLE} WHERE keep = %s", [keep])
        return cursor.fetchone() is not None


def write(live: BaseDatabaseWrapper, keep: str) -> None:
    """Mark the promote. Call it in its transaction."""
    with live.cursor() as cursor:
        cursor.execute(f"CREATE TABLE IF NOT EXISTS main.{_TABLE} (keep TEXT PRIMARY KEY)")
        cursor.execute(f"INSERT INTO main.{_TABLE} (keep) VALUES (%s)", [keep])


def remove(live: BaseDatabaseWrapper) -> None:
    """Remove the marks."""
    with live.cursor() as cursor:
        cursor.execute(f"DROP TABLE IF EXISTS main.{_TABLE}")
