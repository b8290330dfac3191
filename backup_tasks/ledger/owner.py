"""Names the process that holds a claim, and tells whether it is gone.

An owner is `host:namespace:pid:start`: the process id alone is reused, and means nothing in another
container. Where there is no /proc, nobody is known to be gone and the lease decides alone.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path

_UNKNOWN = "-"
_START_TIME = 19
"""Field 22 of /proc/PID/stat, counted from the state (field 3), which follows the name in brackets.
Source: proc_pid_stat(5)."""


def this_process() -> str:
    """Return the owner name of the calling process."""
    pid = os.getpid()
    _, start = _stat(pid)
    return f"{_pid_namespace()}:{pid}:{start}"


def host(owner: str) -> str:
    """Return the name of the host that an owner ran on."""
    return owner.partition(":")[0]


def is_gone(owner: str) -> bool:
    """Tell whether the owner ran on this host and has certainly ended."""
    namespace, _, process = owner.rpartition(":")[0].rpartition(":")
    start = owner.rpartition(":")[2]
    if namespace != _pid_namespace() or start == _UNKNOWN or not process.isdigit():
        return False
    state, now_start = _stat(int(process))
    return state in "ZX" or now_start != start


def _pid_namespace() -> str:
    """Return `host:namespace`, in which a process id is unique."""
    try:
        namespace = str(Path("/proc/self/ns/pid").readlink()).strip("pid:[]")
    except OSError:
        namespace = _UNKNOWN
    return f"{socket.gethostname()}:{namespace}"


def _stat(pid: int) -> tuple[str, str]:
    """Return a process' state (`X`: there is none) and its start time in clock ticks after boot."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return "X", _UNKNOWN
    return fields[0], fields[_START_TIME]
