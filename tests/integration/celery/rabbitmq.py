"""A RabbitMQ server of the tests' own, where this machine has one installed."""

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from edms.local.errors import ServiceUnavailable
from edms.local.ports import LOOPBACK, free_port
from edms.local.processes import start, wait_until

PROGRAM = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
"""Debian's. The one on PATH runs as root or as its own user only, on the machine's data."""
USER = "rabbitmq"
PATIENCE = 120.0
"""Seconds: an Erlang machine starts slowly where others work."""


@contextlib.contextmanager
def rabbitmq_server(*, consumer_timeout: timedelta | None = None) -> Iterator[str]:
    """Give the URL of a server, which is removed with its data afterwards.

    The server looks every second, not every minute, for consumers that have not acknowledged a
    message within the timeout, by default 30 minutes. Raises ServiceUnavailable if there is none to
    be had.
    """
    if not PROGRAM.exists():
        raise ServiceUnavailable(f"RabbitMQ is not installed: there is no {PROGRAM}")
    user = USER if os.geteuid() == 0 else None
    folder = Path(tempfile.mkdtemp(prefix="edms-rabbitmq-"))
    port, distribution, mapper = free_port(), free_port(), free_port()
    (folder / "rabbitmq.conf").write_text(f"listeners.tcp.1 = {LOOPBACK}:{port}\n")
    timeout = consumer_timeout or timedelta(minutes=30)
    (folder / "advanced.config").write_text(
        "[{rabbit, [{channel_tick_interval, 1000}, {consumer_timeout, "
        f"{round(timeout / timedelta(milliseconds=1))}}}]}}].\n"
    )
    (folder / "plugins").write_text("[].\n")
    if user:
        entry = pwd.getpwnam(user)
        for path in (folder, *folder.iterdir()):
            os.chown(path, entry.pw_uid, entry.pw_gid)
    loopback_only = "{" + LOOPBACK.replace(".", ",") + "}"
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "ERL_EPMD_ADDRESS": LOOPBACK,
        "ERL_EPMD_PORT": str(mapper),
        "RABBITMQ_NODENAME": f"edms{port}@localhost",
        "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
        "RABBITMQ_ADVANCED_CONFIG_FILE": str(folder / "advanced.config"),
        "RABBITMQ_CONF_ENV_FILE": str(folder / "none"),
        "RABBITMQ_DIST_PORT": str(distribution),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
        "RABBITMQ_LOG_BASE": str(folder / "log"),
        "RABBITMQ_MNESIA_BASE": str(folder / "data"),
        "RABBITMQ_PID_FILE": str(folder / "pid"),
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": f"-kernel inet_dist_use_interface {loopback_only}",
    }
    child = start(
        "RabbitMQ", [PROGRAM], log=folder / "server.log", env=env, cwd=folder, user=user, grace=30
    )
    try:
        wait_until(lambda: _answers(port), child=child, what="RabbitMQ answers", timeout=PATIENCE)
        yield f"amqp://guest:guest@{LOOPBACK}:{port}//"
    finally:
        child.stop()
        # What Erlang's nodes find each other by is a process of its own, and outlives them.
        epmd = shutil.which("epmd", path=f"{env['PATH']}:/usr/bin")
        if epmd:
            subprocess.run([epmd, "-kill"], env=env, capture_output=True, check=False)
        shutil.rmtree(folder, ignore_errors=True)


def _answers(port: int) -> bool:
    """Whether the server speaks AMQP: it greets before it is asked for anything but its name."""
    try:
        with socket.create_connection((LOOPBACK, port), timeout=5) as connection:
            connection.sendall(b"AMQP\x00\x00\x09\x01")
            return bool(connection.recv(1))
    except OSError:
        return False
