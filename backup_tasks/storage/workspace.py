"""The folder where the steps of a run hand over to each other.

All workers of a run must reach it. It is there from the first step until the run has succeeded or
was cancelled; that of a failed run stays, so that the run can be resumed.
"""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from backup_tasks.conf import backup_settings

_RUN_ID = re.compile(r"[a-z]+-\d{8}T\d{6}-[a-z2-7]{5}")  # as the ledger gives them
_SCRATCH = "dry-run-"
UPLOAD = "upload-"
"""How the folders of uploads begin."""
_DAY = 24 * 60 * 60


def path_of(run_id: str) -> Path:
    """Return where the run's workspace is, or would be."""
    return backup_settings().workspace / run_id


def make(run_id: str) -> Path:
    """Return the run's workspace, made if need be; only its owner can look into it."""
    folder = path_of(run_id)
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def remove(run_id: str) -> None:
    """Remove the run's workspace, or what is left of a dry run."""
    shutil.rmtree(path_of(run_id), ignore_errors=True)


@contextmanager
def scratch() -> Iterator[Path]:
    """Yield a folder in the workspace for work without a run, such as a dry run. It is removed at
    the end."""
    parent = backup_settings().workspace
    made = not parent.exists()
    parent.mkdir(parents=True, exist_ok=True)
    try:
        with TemporaryDirectory(prefix=_SCRATCH, dir=parent) as folder:
            yield Path(folder)
    finally:
        if made:
            with suppress(OSError):  # a run has made its own there since
                parent.rmdir()


def runs() -> set[str]:
    """Return the ids of the runs that have a workspace here. The folder may hold other
    files: an operator may have named one that others use too."""
    return {path.name for path in _all() if _RUN_ID.fullmatch(path.name)}


def abandoned() -> set[str]:
    """Return the names of the folders of dry runs that were killed a day ago or more, and of
    uploads that were not published within a day."""
    scratches = (path for path in _all() if path.name.startswith((_SCRATCH, UPLOAD)))
    return {path.name for path in scratches if _is_old(path)}


def _is_old(path: Path) -> bool:
    try:
        return path.stat().st_mtime < time.time() - _DAY
    except FileNotFoundError:  # its dry run has ended
        return False


def _all() -> list[Path]:
    folder = backup_settings().workspace
    return list(folder.iterdir()) if folder.is_dir() else []
