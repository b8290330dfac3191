"""A real PgBouncer in front of a PostgreSQL server, for tests."""

import contextlib
import os
import pwd
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg

from edms.local.errors import ServiceUnavailable
from edms.local.ports import LOOPBACK, free_port
from edms.local.postgres import USERS
from edms.local.processes import start, wait_until

PROGRAM = "pgbouncer"
FOLDERS = "/usr/sbin:/usr/local/sbin:/usr/bin"

_CONFIGURATION = """
[databases]
* = host={host} port={port} user={user}
[pgbouncer]
listen_addr = {loopback}
listen_port = {own_port}
unix_socket_dir =
auth_type = any
pool_mode = {mode}
default_pool_size = 20
ignore_startup_parameters = {ignored}
"""


@contextlib.contextmanager
def pgbouncer(url: str, *, mode: str, ignored: str = "") -> Iterator[str]:
    """Give the URL of the same database behind a PgBouncer of one's own.

    `mode` is "session", "transaction" or "statement"; `ignored` are startup parameters that it
    swallows, the others that it does not know it refuses. Raises ServiceUnavailable.
    """
    program = shutil.which(PROGRAM) or shutil.which(PROGRAM, path=FOLDERS)
    if program is None:
        raise ServiceUnavailable("There is no pgbouncer on this machine: install it.")
    parts = urlsplit(url)
    own_port = free_port()
    folder = Path(tempfile.mkdtemp(prefix="edms-pgbouncer-"))
    try:
        configuration = folder / "pgbouncer.ini"
        configuration.write_text(
            _CONFIGURATION.format(
                host=parts.hostname,
                port=parts.port,
                user=parts.username,
                loopback=LOOPBACK,
                own_port=own_port,
                mode=mode,
                ignored=ignored,
            )
        )
        user = _other_user()
        if user:
            os.chown(folder, *_ids(user))
        log = folder / "pgbouncer.log"
        child = start("PgBouncer", [program, configuration], log=log, user=user, cwd=folder)
        try:
            mine = urlunsplit(parts._replace(netloc=f"{parts.username}@{LOOPBACK}:{own_port}"))
            wait_until(lambda: _answers(mine), child=child, what="PgBouncer answers")
            yield mine
        finally:
            child.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _other_user() -> str | None:
    """Whom root runs it as: it refuses to run as root, as PostgreSQL does."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return next(name for name in USERS if name in known)


def _ids(user: str) -> tuple[int, int]:
    entry = pwd.getpwnam(user)
    return entry.pw_uid, entry.pw_gid


def _answers(url: str) -> bool:
    try:
        with psycopg.connect(url, connect_timeout=2):
            return True
    except psycopg.OperationalError:
        return False
