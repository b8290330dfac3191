"""Folders and files of a file system: how they are made, given away, made durable and removed."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def remove_empty(folder: Path) -> None:
    """Remove a folder that has nothing but folders in it. Raises OSError if a file is found."""
    for path in sorted(folder.rglob("*"), reverse=True):
        path.rmdir()
    folder.rmdir()


def make_folder(folder: Path, mode: int = 0o777) -> None:
    """Make a folder, and those above it that are missing."""
    if not folder.is_dir():
        if folder.parent != folder:
            make_folder(folder.parent)
        folder.mkdir(mode=mode, exist_ok=True)
        give_to_owner_above(folder)


def give_to_owner_above(path: Path) -> None:
    """If root runs this, give the file to the owner of its folder, so that workers and web
    processes can read it."""
    if os.geteuid() == 0:
        above = path.parent.stat()
        with suppress(PermissionError):  # a network file system may map root to nobody
            os.chown(path, above.st_uid, above.st_gid)


def make_durable(path: str) -> None:
    """Sync a file to the disk, so that its content survives a power loss."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
