"""Connections to SQLite files, made by Django.

Constraints, indexes and generated columns may use functions of Django (REGEXP, the year of a date)
and functions and collations that a project adds at `connection_created`. A connection of the bare
driver lacks them, and can't read or write such tables.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from django.db import DatabaseError, OperationalError, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from backup_tasks.engines.running_migration import running_migration
from backup_tasks.engines.sqlite.texts import read_any_text
from backup_tasks.errors import LeftStaging

_TEMPORARY = ("", ":memory:")
"""Names of databases that are no files. VACUUM attaches one."""
_READ_ONLY = "readonly database"
_HINT = (
    "Live data was not touched. Let migrations, seeds and checks use the alias that they are "
    "given: schema_editor.connection.alias."
)


def connection_to(
    live: BaseDatabaseWrapper, file: str | Path, *pragmas: str
) -> BaseDatabaseWrapper:
    """Return a connection to a file with live's settings, except how transactions begin. It reads
    text that is not UTF-8, too.

    The pragmas are set at each connect, because code of the project may close the connection.
    """
    connection = live.copy()
    connection.settings_dict["NAME"] = str(file)
    connection.settings_dict["OPTIONS"].pop("transaction_mode", None)
    connection.settings_dict["OPTIONS"].pop("init_command", None)

    def prepare(driver: sqlite3.Connection) -> None:
        for pragma in pragmas:
            driver.execute(f"PRAGMA {pragma}")
        read_any_text(driver)

    return _prepared(connection, prepare)


def _prepared(
    connection: BaseDatabaseWrapper, prepare: Callable[[sqlite3.Connection], None]
) -> BaseDatabaseWrapper:
    """Call `prepare` after each connect and the project's `connection_created`."""
    connect = connection.connect

    def connect_and_prepare() -> None:
        connect()
        with connection.wrap_database_errors:
            prepare(connection.connection)

    connection.connect = connect_and_prepare  # type: ignore[method-assign]  # on this one only
    return connection


class StagingConnection:
    """A connection to a staging file that can't write to another file.

    ATTACH is refused. Files that the project attaches at each connect are attached again, read
    only.
    """

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        self._refused = ""
        self.connection = _prepared(connection, self._restrict)

    def _restrict(self, driver: sqlite3.Connection) -> None:
        for _, name, file in driver.execute("PRAGMA database_list").fetchall():
            if name not in ("main", "temp") and file:
                driver.execute(f"DETACH DATABASE {_quoted(name)}")
                driver.execute(f"ATTACH DATABASE ? AS {_quoted(name)}", [file_uri(file, "ro")])
        driver.set_authorizer(self._authorize)

    def _authorize(self, action: int, file: str | None, *_: object) -> int:
        if action != sqlite3.SQLITE_ATTACH or file in _TEMPORARY:
            return sqlite3.SQLITE_OK
        migration = running_migration()
        self._refused = f"migration {migration}" if migration else f"database {file or '?'}"
        return sqlite3.SQLITE_DENY

    @contextmanager
    def watched(self, alias: str) -> Iterator[None]:
        """Raise LeftStaging at the end if something was refused, even if the error was caught."""
        with _other_aliases_read_only(alias):
            try:
                yield
            except DatabaseError as error:
                if self._refused:
                    raise self._error() from error
                raise
        if self._refused:
            raise self._error()

    def _error(self) -> LeftStaging:
        return LeftStaging(
            "it would have attached another file to staging (ATTACH DATABASE), and was refused",
            obj=self._refused,
            hint=_HINT,
        )


@contextmanager
def _other_aliases_read_only(alias: str) -> Iterator[None]:
    """Inside, this thread can't write through other aliases of SQLite files: one may be live."""
    with ExitStack() as stack:
        for other in connections:
            if other != alias and connections[other].vendor == "sqlite":
                stack.enter_context(connections[other].execute_wrapper(_execute_read_only))
        yield


def _execute_read_only(
    execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: Any
) -> Any:
    """Execute a statement with `query_only` on. An execute wrapper of Django."""
    connection: BaseDatabaseWrapper = context["connection"]
    driver = connection.connection
    (before,) = driver.execute("PRAGMA query_only").fetchone()
    driver.execute("PRAGMA query_only = ON")
    try:
        return execute(sql, params, many, context)
    except OperationalError as error:
        if _READ_ONLY not in str(error):
            raise
        migration = running_migration()
        raise LeftStaging(
            f"it would have written over another alias, {connection.alias}: {error}",
            obj=f"migration {migration}" if migration else f"database {connection.alias}",
            hint=_HINT,
        ) from error
    finally:
        driver.execute(f"PRAGMA query_only = {before}")


def file_uri(file: str | Path, mode: str) -> str:
    """Return the URI of a file for ATTACH. The modes `rw` and `ro` don't create a missing file."""
    return f"{Path(file).absolute().as_uri()}?mode={mode}"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
