"""The databases of MariaDB that are staging and undo schemas."""

from __future__ import annotations

import re
from typing import Any, cast

from django.db import DatabaseError
from django.db.backends.base.base import BaseDatabaseWrapper

from backup_tasks.engines.mariadb.foreign_keys import quoted
from backup_tasks.errors import Misconfigured

_ACCESS_DENIED = frozenset({1044, 1142})


def refuse_server(connection: BaseDatabaseWrapper, oldest: tuple[int, ...]) -> None:
    """Raise Misconfigured for MySQL, and for a MariaDB older than that."""
    server = cast(Any, connection)
    if server.mysql_is_mariadb and server.mysql_version >= oldest:
        return
    why = (
        "it can't rename several tables atomically"
        if server.mysql_is_mariadb
        else "it has no comment on a database, by which staging is known, and no block of "
        "statements that the server finishes if the client dies"
    )
    raise Misconfigured(
        f"{server.display_name} {'.'.join(map(str, server.mysql_version))} is not supported: {why}",
        obj=f"database {connection.alias}",
        hint=f"Supported are MariaDB {'.'.join(map(str, oldest))} and later, PostgreSQL and "
        "SQLite. Use mysqldump for this database.",
    )


def create(cursor: Any, name: str, *, like: str, comment: str) -> None:
    """Create a database with the character set and the collation of another one. Raises
    Misconfigured, with the GRANT to run, if the user may not."""
    cursor.execute(
        "SELECT default_character_set_name, default_collation_name"
        " FROM information_schema.schemata WHERE schema_name = %s",
        [like],
    )
    characters, collation = cursor.fetchone()
    try:
        cursor.execute(
            f"CREATE DATABASE {quoted(name)} CHARACTER SET {characters}"
            f" COLLATE {collation} COMMENT %s",
            [comment],
        )
    except DatabaseError as error:
        if error.args[0] in _ACCESS_DENIED:
            raise _may_not_create(cursor, like) from error
        raise


def _may_not_create(cursor: Any, like: str) -> Misconfigured:
    cursor.execute("SELECT CURRENT_USER()")
    user, _, host = cursor.fetchone()[0].rpartition("@")
    pattern = re.sub(r"([_%])", r"\\\1", f"{like}_") + "%"
    return Misconfigured(
        "the database's user may not create the databases in which restores are built and "
        "replaced tables are kept",
        obj=f"database {like}",
        hint=f"GRANT ALL PRIVILEGES ON {quoted(pattern)}.* TO '{user}'@'{host}';",
    )


def streaming_cursor(connection: BaseDatabaseWrapper) -> Any:
    """Return the driver's class of unbuffered cursors, which fetch rows from the server as
    needed."""
    return cast(Any, connection).Database.cursors.SSCursor
