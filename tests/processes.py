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


def has_ended(process: int) -> bool:
    """Whether it executes nothing any more. Whose parent is gone is collected by the machine's
    first process, late, or never where that is a container's: until then its number is taken.

    Linux only: reads /proc.
    """
    try:
        # What comes before the last ")" is the program's name, which may hold anything.
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return True
    return state in ("Z", "X")
