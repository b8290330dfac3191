"""Connections to live as other programs have them: no transaction unless they begin one."""

import contextlib
import sqlite3
from collections.abc import Iterator
from typing import Any

import psycopg

from edms.local.mariadb import connected
from tests.services import Project

OTHERS = "reader"
"""The application's name of those that are no part of the restore, where a server is told."""

_numbers: set[int] = set()
"""Theirs on MariaDB, which is not told their names."""


class MariaDBClient:
    """Executes like the other two drivers' connections."""

    def __init__(self, cursor: Any) -> None:
        self._cursor = cursor

    def execute(self, sql: str) -> Any:
        self._cursor.execute(sql)
        return self._cursor


@contextlib.contextmanager
def client_of(project: Project) -> Iterator[Any]:
    """Connect, as somebody who is no part of the restore."""
    if project.engine == "sqlite":
        opened = sqlite3.connect(project.database, isolation_level=None, timeout=20)
        with contextlib.closing(opened) as client:
            yield client
    elif project.engine == "mariadb":
        with connected(project.database_url) as cursor:
            _numbers.add(cursor.connection.thread_id())
            yield MariaDBClient(cursor)
    else:
        with psycopg.connect(
            project.database_url, autocommit=True, application_name=OTHERS
        ) as client:
            yield client


def is_retryable(error: Exception) -> bool:
    """Whether a program that gets this error begins its transaction again, and all is well: on
    MariaDB, the tables that it has not read yet were exchanged since the transaction began."""
    return error.args[:1] == (1412,)


SESSIONS = {
    "postgres": "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
    f" AND pid <> pg_backend_pid() AND application_name <> '{OTHERS}'",
    "mariadb": "SELECT id FROM information_schema.processlist"
    " WHERE left(db, length(database())) = database()",
}


def sessions(project: Project, client: Any) -> int:
    """Count the server's sessions that are a restore's."""
    found = [row[0] for row in client.execute(SESSIONS[project.engine]).fetchall()]
    return len(set(found) - _numbers) if project.engine == "mariadb" else int(found[0])
