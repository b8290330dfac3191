"""Runs a program and says what it cost, the database server's share included."""

from __future__ import annotations

import os
import resource
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import psycopg

_TICKS = os.sysconf("SC_CLK_TCK")


class BenchmarkFailed(Exception):
    """A program that is measured did not do its work."""


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What one run of a program cost."""

    wall: float
    """Seconds."""
    cpu: float
    """Seconds of all its processes, those of the database server for it included."""
    peak: int
    """Bytes of memory that its largest process held at once, the server's not included."""
    steps: Mapping[str, float] = field(default_factory=dict)
    """Seconds of each step, where the ledger says."""


@dataclass(frozen=True, kw_only=True)
class Server:
    """The database server's processes on this machine, if it runs here and may be looked at."""

    postmaster: int | None

    @classmethod
    def at(cls, url: str) -> Server:
        """Find the server behind a URL of a superuser."""
        try:
            with psycopg.connect(url) as connection:
                row = connection.execute("SELECT pg_read_file('postmaster.pid')").fetchone()
        except psycopg.Error:
            return cls(postmaster=None)
        pid = int(row[0].splitlines()[0]) if row else 0
        command = Path(f"/proc/{pid}/comm")
        here = command.exists() and command.read_text().strip() == "postgres"
        return cls(postmaster=pid if here else None)

    def cpu(self) -> float:
        """Seconds that all its processes have used so far."""
        if self.postmaster is None:
            return 0.0
        children = Path(f"/proc/{self.postmaster}/task/{self.postmaster}/children")
        pids = [self.postmaster, *map(int, children.read_text().split())]
        return sum(map(_cpu_of, pids))


def _cpu_of(pid: int) -> float:
    """Of a process and those of its children that have ended (proc(5): utime to cstime)."""
    try:
        figures = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except FileNotFoundError:  # it ended meanwhile, and is now in its parent's figures
        return 0.0
    return sum(map(int, figures[11:15])) / _TICKS


def cost_of(
    command: Sequence[str | Path], *, env: Mapping[str, str], cwd: Path, server: Server
) -> Cost:
    """Run a program to its end. Raises BenchmarkFailed, with what it printed, if it fails."""
    with tempfile.TemporaryFile() as output:
        server_before, began = server.cpu(), time.monotonic()
        process = subprocess.Popen(
            [str(part) for part in command],
            env=dict(env),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
        _, status, used = os.wait4(process.pid, 0)
        wall = time.monotonic() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            output.seek(0)
            said = output.read().decode(errors="replace")[-2000:]
            raise BenchmarkFailed(f"{command} → {process.returncode}\n{said}")
    return Cost(
        wall=wall,
        cpu=used.ru_utime + used.ru_stime + server.cpu() - server_before,
        peak=used.ru_maxrss * 1024,
    )


def own_peak() -> int:
    """Bytes that this program held at once: what it starts can't be seen to hold less."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def middle(costs: Sequence[Cost]) -> Cost:
    """Return the median of each figure."""
    return Cost(
        wall=median(cost.wall for cost in costs),
        cpu=median(cost.cpu for cost in costs),
        peak=round(median(cost.peak for cost in costs)),
        steps={name: median(cost.steps[name] for cost in costs) for name in costs[0].steps},
    )
