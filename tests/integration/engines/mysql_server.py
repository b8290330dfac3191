"""A MySQL server, which is to be refused: that of the PATH, where `make matrix` puts one."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pymysql

from edms.local.mariadb import connected
from edms.local.ports import LOOPBACK, free_port
from edms.local.processes import start, wait_until


def mysql_program() -> str | None:
    """Return the path of MySQL's server; None if there is none, or if MariaDB has that name."""
    program = shutil.which("mysqld")
    if program is None:
        return None
    said = subprocess.run([program, "--version"], check=True, capture_output=True, text=True).stdout
    return None if "MariaDB" in said else program


@contextmanager
def mysql_server(program: str) -> Iterator[str]:
    """Give the URL of an empty database on a server of one's own."""
    # Not in a folder of the caller: the path of a socket must be short.
    with tempfile.TemporaryDirectory(prefix="edms-mysql-", ignore_cleanup_errors=True) as name:
        folder, port = Path(name), free_port()
        command = [program, "--no-defaults", f"--datadir={folder / 'data'}"]
        command += ["--user=root"] if os.geteuid() == 0 else []
        made = [*command, "--initialize-insecure"]
        subprocess.run(made, check=True, capture_output=True, cwd=folder)
        options = {
            "bind-address": LOOPBACK,
            "port": str(port),
            "socket": str(folder / "socket"),
            "pid-file": str(folder / "pid"),
            "mysqlx": "OFF",
            "secure-file-priv": "NULL",
        }
        child = start(
            "MySQL",
            [*command, *(f"--{key}={value}" for key, value in options.items())],
            log=folder / "log",
            cwd=folder,
        )
        url = f"mysql://root@{LOOPBACK}:{port}"
        try:
            wait_until(lambda: _answers(url), child=child, what="MySQL answers")
            with connected(url) as cursor:
                cursor.execute("CREATE DATABASE shop")
            yield f"{url}/shop"
        finally:
            child.stop()


def _answers(url: str) -> bool:
    try:
        with connected(url):
            return True
    except pymysql.OperationalError:
        return False
