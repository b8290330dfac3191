"""The databases of MariaDB that are staging and undo schemas."""

from __future__ import annotations

import re
from typing import Any

from django.db import DatabaseError

from backup_tasks.engines.mariadb.foreign_keys import quoted
from backup_tasks.errors import Misconfigured

_ACCESS_DENIED = frozenset({1044, 1142})


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
