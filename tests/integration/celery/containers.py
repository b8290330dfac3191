"""pytest-celery's containers on local processes, so that its tests need no Docker (C18).

pytest-celery's container classes only delegate to a Docker container. A `ProcessContainer` is what
they need of one, so its nodes, clusters and setup run unmodified.
"""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pytest_celery import CeleryWorkerContainer, RedisContainer

from edms.local.ports import LOOPBACK
from edms.local.processes import Child


class ProcessContainer:
    """A process group that looks like a Docker container."""

    def __init__(self, name: str, start: Callable[[], Child], *, port: int | None = None) -> None:
        self.name = self.id = name
        self._start = start
        self.child = start()
        ports = {} if port is None else {f"{port}/tcp": [{"HostPort": str(port)}]}
        self.attrs: dict[str, Any] = {
            "Config": {"Hostname": LOOPBACK, "Env": []},
            "NetworkSettings": {"Networks": {}, "Ports": ports},
            "HostConfig": {"PortBindings": {}},
        }

    @property
    def status(self) -> str:
        return "running" if self.child.process.poll() is None else "exited"

    def reload(self) -> None:
        """A process is always up to date."""

    def logs(self) -> bytes:
        return self.child.log.read_bytes()

    def kill(self, signal: str | int | None = None) -> None:
        """Signal the whole process group, which is what a container's end does to its processes."""
        os.killpg(self.child.process.pid, _number(signal))
        if _number(signal) == _number("SIGKILL"):
            self.child.process.wait()

    def restart(self, timeout: float = 10) -> None:
        self.child.stop()
        self.child = self._start()

    def remove(self, **options: Any) -> None:
        self.child.stop(signal.SIGKILL)

    def exec_run(self, command: str) -> tuple[int, bytes]:
        """What pytest-docker-tools asks a container is which ports are open: the host's are."""
        assert command.startswith("cat /proc/net/"), command
        return 0, b"".join(Path(path).read_bytes() for path in command.split()[1:])


def _number(given: str | int | None) -> int:
    if isinstance(given, str):
        return int(signal.Signals[given])
    return int(signal.SIGKILL) if given is None else given


class RedisProcess(RedisContainer):
    """pytest-celery's Redis, on a process."""

    @property
    def port(self) -> int:
        (address,) = self.ports.values()
        return int(address[0])

    @property
    def hostname(self) -> str:
        return f"{LOOPBACK}:{self.port}"


class WorkerProcess(CeleryWorkerContainer):
    """pytest-celery's worker, on a process: a prefork pool of two, for steps and for beat's
    tasks, with the verbs of `stand_in_app`."""

    @classmethod
    def command(cls, *args: str, **kwargs: Any) -> list[str]:
        command: list[str] = super().command(
            *("-c", "2", "--without-mingle", "--without-gossip"), *args, **kwargs
        )
        command[command.index("app")] = "tests.integration.celery.stand_in_app"
        return [sys.executable, "-m", *command]

    @classmethod
    def worker_queue(cls) -> str:
        return "backups,celery"

    @property
    def main_process(self) -> int:
        """The number of the process that the pool's processes are children of."""
        return int(self._container.child.process.pid)

    def check(self) -> None:
        """Raise ServiceUnavailable, with the end of its log, where the worker has ended."""
        self._container.child.check()
