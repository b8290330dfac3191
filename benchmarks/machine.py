"""What the figures were measured on."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from pathlib import Path

import psycopg


def described(url: str) -> Iterator[tuple[str, str]]:
    """Yield (what, value) of the machine and of the PostgreSQL server behind the URL."""
    yield "processor", f"{os.cpu_count()} × {_first('/proc/cpuinfo', 'model name')}"
    memory = int(_first("/proc/meminfo", "MemTotal").split()[0]) / (1 << 20)
    yield "memory", f"{memory:.0f} GiB"
    yield "system", f"{platform.system()} {platform.release()}"
    yield "Python", platform.python_version()
    with psycopg.connect(url) as connection:
        settings = {
            name: connection.execute(f"SHOW {name}").fetchone()[0]  # type: ignore[index]  # SHOW returns a row
            for name in ("server_version", "fsync", "shared_buffers", "maintenance_work_mem")
        }
    yield "PostgreSQL", settings.pop("server_version")
    yield "its settings", ", ".join(f"{name} = {value}" for name, value in settings.items())


def load() -> str:
    """How many programs wanted a processor in the last minute, on average."""
    return f"{os.getloadavg()[0]:.1f}"


def _first(file: str, name: str) -> str:
    for line in Path(file).read_text().splitlines():
        if line.startswith(name):
            return line.partition(":")[2].strip()
    return "unknown"
