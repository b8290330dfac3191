"""Text that is not UTF-8. SQLite stores any bytes as text; its driver refuses to read such text,
and can't write it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

from backup_tasks.engines.base import insert, quoted


class UndecodedText(bytes):
    """The bytes of a text that is not UTF-8."""

    def __str__(self) -> str:
        """Return the text with `\\xff` for each byte that is no part of UTF-8."""
        return self.decode("utf-8", "backslashreplace")


def text_or_bytes(data: bytes) -> str | UndecodedText:
    """Return a text as the driver does, or else its bytes. A `text_factory`."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return UndecodedText(data)


def read_any_text(driver: sqlite3.Connection) -> None:
    """Let the connection read UndecodedText. Of a database in UTF-16, SQLite hands out a
    conversion, which would not be written back as it was; there the driver refuses it still."""
    (encoding,) = driver.execute("PRAGMA encoding").fetchone()
    if encoding == "UTF-8":
        driver.text_factory = text_or_bytes


@contextmanager
def reading_any_text(driver: sqlite3.Connection) -> Iterator[None]:
    """Inside, the connection reads UndecodedText."""
    before = driver.text_factory
    read_any_text(driver)
    try:
        yield
    finally:
        driver.text_factory = before


def insert_any_text(
    connection: BaseDatabaseWrapper,
    table: str,
    columns: Sequence[str],
    rows: Iterable[Sequence[Any]],
) -> int:
    """Insert the rows, streaming; return their number. Rows with UndecodedText are written one by
    one, since their statement is another."""
    names = [*map(quoted, columns)]
    into = f"INSERT INTO {quoted(table)} ({', '.join(names)})".replace("%", "%%")
    undecoded = 0

    def others(cursor: Any) -> Iterator[Sequence[Any]]:
        nonlocal undecoded
        for row in rows:
            if UndecodedText in map(type, row):
                values = ("CAST(%s AS TEXT)" if type(v) is UndecodedText else "%s" for v in row)
                cursor.execute(f"{into} VALUES ({', '.join(values)})", row)
                undecoded += 1
            else:
                yield row

    with connection.cursor() as cursor:
        written = insert(connection, quoted(table), names, others(cursor))
    return written + undecoded
