"""The folder where the steps of a run hand over to each other.

All workers of a run must reach it. It is there from the first step until the run has succeeded or
was cancelled; that of a failed run stays, so that the run can be resumed.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from backup_tasks.conf import backup_settings


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
    """Remove the run's workspace, if there is one here."""
    shutil.rmtree(path_of(run_id), ignore_errors=True)


def runs() -> set[str]:
    """Return the ids of the runs that have a workspace here."""
    folder = backup_settings().workspace
    return {path.name for path in folder.iterdir()} if folder.is_dir() else set()
