"""A MariaDB server: the one that TEST_MARIADB_URL names, or a private one in a folder.

A private one is what this machine has installed; no package index carries one. It gives up
durability for speed: its data is thrown away.
"""

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit, urlunsplit
from uuid import uuid4

import pymysql

from edms.local.errors import ServiceUnavailable
from edms.local.ports import LOOPBACK, free_port
from edms.local.processes import start, wait_until

SUPERUSER = "root"
FOLDERS = "/usr/local/sbin:/usr/sbin:/usr/local/bin:/usr/bin"
"""Where servers are put that are not on everybody's PATH."""
OPTIONS = {
    "bind-address": LOOPBACK,
    "character-set-server": "utf8mb4",
    "collation-server": "utf8mb4_general_ci",
    "innodb-buffer-pool-size": "64M",
    "innodb-doublewrite": "OFF",
    "innodb-flush-log-at-trx-commit": "0",
    "innodb-flush-method": "nosync",
    "innodb-log-file-size": "16M",
    "skip-name-resolve": "ON",
}


@dataclass(frozen=True, kw_only=True)
class MariaDBServer:
    """A running server, and databases on it."""

    url: str
    """Of a database whose user may create others."""

    def database_url(self, name: str) -> str:
        return urlunsplit(urlsplit(self.url)._replace(path=f"/{name}"))

    @staticmethod
    def new_name() -> str:
        """A name that no database has."""
        return f"edms_{uuid4().hex[:12]}"

    def create_database(self, name: str, *, template: str = "") -> str:
        """Create a database, empty or as a copy of `template`, and return its URL."""
        with connected(self.url) as cursor:
            cursor.execute(f"CREATE DATABASE `{name}`")
        if template:
            self._copy(template, name)
        return self.database_url(name)

    def drop_database(self, name: str) -> None:
        """Drop a database, and those that a project made beside it."""
        with connected(self.url) as cursor:
            cursor.execute("SET foreign_key_checks = 0")
            cursor.execute("SHOW DATABASES")
            for (found,) in cursor.fetchall():
                if found == name or found.startswith(f"{name}_"):
                    cursor.execute(f"DROP DATABASE `{found}`")

    def _copy(self, source: str, target: str) -> None:
        parts = urlsplit(self.url)
        access = [
            *(f"--host={parts.hostname}", f"--port={parts.port or 3306}"),
            f"--user={unquote(parts.username or SUPERUSER)}",
        ]
        env = {**os.environ, "MYSQL_PWD": unquote(parts.password or "")}
        dump = subprocess.run(
            [find_program("mariadb-dump"), "--no-defaults", *access, source],
            env=env,
            capture_output=True,
            check=True,
        )
        client = [find_program("mariadb"), "--no-defaults", *access, target]
        subprocess.run(client, env=env, input=dump.stdout, capture_output=True, check=True)


@contextlib.contextmanager
def connected(url: str) -> Iterator[Any]:
    """Give a cursor of a connection of one's own, no transaction unless one begins it."""
    parts = urlsplit(url)
    connection = pymysql.connect(
        host=parts.hostname or LOOPBACK,
        port=parts.port or 3306,
        user=unquote(parts.username or SUPERUSER),
        password=unquote(parts.password or ""),
        database=unquote(parts.path).lstrip("/") or None,
        autocommit=True,
        **dict(parse_qsl(parts.query)),
    )
    with connection, connection.cursor() as cursor:
        yield cursor


@contextlib.contextmanager
def mariadb_server() -> Iterator[MariaDBServer]:
    """Give a MariaDB server; one that was started is removed with its data afterwards.

    Raises ServiceUnavailable if there is none to be had.
    """
    given = os.environ.get("TEST_MARIADB_URL")
    if given:
        yield MariaDBServer(url=given)
        return
    # Not in a folder of the caller: the path of a socket must be short.
    folder = Path(tempfile.mkdtemp(prefix="edms-mariadb-"))
    try:
        with private_mariadb(folder) as server:
            yield server
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def private_mariadb(folder: Path) -> Iterator[MariaDBServer]:
    """Start a server of one's own with its data in `folder`, which must be empty."""
    program = find_program("mariadbd")
    data, log, port = folder / "data", folder / "mariadb.log", free_port()
    # The server refuses to run as root without this option.
    as_root = ["--user=root"] if os.geteuid() == 0 else []
    _initialise(data, as_root)
    options = OPTIONS | {
        "datadir": str(data),
        "port": str(port),
        "socket": str(folder / "socket"),
        "pid-file": str(folder / "pid"),
    }
    child = start(
        "MariaDB",
        [program, "--no-defaults", *as_root, *(f"--{k}={v}" for k, v in options.items())],
        log=log,
        cwd=folder,
    )
    # The server has no TLS. Preparing for TLS is most of the time that PyMySQL needs to connect.
    url = f"mariadb://{SUPERUSER}@{LOOPBACK}:{port}/mysql?ssl_disabled=1"
    try:
        wait_until(lambda: _answers(url), child=child, what="MariaDB answers")
        yield MariaDBServer(url=url)
    finally:
        child.stop()


def find_program(name: str) -> str:
    """The path of one of MariaDB's programs. Raises ServiceUnavailable."""
    found = shutil.which(name) or shutil.which(name, path=FOLDERS)
    if found is None:
        raise ServiceUnavailable(
            f"There is no MariaDB: TEST_MARIADB_URL is not set, and {name} is not installed. "
            "Install MariaDB (Debian: mariadb-server), or set TEST_MARIADB_URL to a database "
            "whose user may create databases."
        )
    return found


def _initialise(data: Path, as_root: list[str]) -> None:
    done = subprocess.run(
        [
            *(find_program("mariadb-install-db"), "--no-defaults", f"--datadir={data}"),
            *("--auth-root-authentication-method=normal", "--skip-test-db", *as_root),
        ],
        cwd=data.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise ServiceUnavailable(
            f"MariaDB's data folder can't be made: {done.stderr or done.stdout}"
        )


def _answers(url: str) -> bool:
    try:
        with connected(url):
            return True
    except pymysql.OperationalError:
        return False
