"""Which processes a program has left behind."""

import time
from pathlib import Path


def running_in(folder: Path) -> list[str]:
    """The processes that run and mention the folder or are in it (Redis rewrites what it shows).

    Linux only: reads /proc.
    """
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            environment = (process / "environ").read_bytes().decode(errors="replace")
            place = str((process / "cwd").readlink())
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
        if str(folder) in command + environment + place:
            found.append(command)
    return found


def left_in(folder: Path, within: float = 60) -> list[str]:
    """What still runs there after giving it some seconds to end."""
    deadline = time.monotonic() + within
    while running_in(folder) and time.monotonic() < deadline:
        time.sleep(0.1)
    return running_in(folder)
