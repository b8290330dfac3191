"""Folders and files of a file system: how they are made, given away, made durable and removed."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from dataclasses import dataclass
from errno import EEXIST, ENOENT, ENOTEMPTY
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Access:
    """Who may do what with a file."""

    mode: int
    """Permissions of owner, group and others."""

    owner: tuple[int, int] | None
    """Numbers of user and group; None where they are not known."""

    @classmethod
    def of(cls, path: str | Path) -> Access:
        """Look at a file. Raises OSError."""
        found = Path(path).stat()
        mode = stat.S_IMODE(found.st_mode) & 0o777
        return cls(mode=mode, owner=(found.st_uid, found.st_gid))

    def give_to(self, path: Path) -> None:
        """Let a new file be so. Its owner can read and write it always; who is not root can't give
        it to another owner."""
        path.chmod(self.mode | 0o600)
        if self.owner and os.geteuid() == 0:
            with suppress(PermissionError):  # a network file system may map root to nobody
                os.chown(path, *self.owner)


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


def make_private(folder: Path) -> None:
    """Let nobody but its owner look into a folder."""
    if stat.S_IMODE(folder.stat().st_mode) & 0o077:
        with suppress(PermissionError):  # it is somebody else's
            folder.chmod(0o700)


def rename_folder(source: Path, target: Path) -> bool:
    """Rename a folder, atomically. Return False where it is gone, or another folder has the name
    and is not empty."""
    try:
        source.rename(target)
    except OSError as error:
        if error.errno in (ENOENT, ENOTEMPTY, EEXIST):
            return False
        raise
    return True


def remove_if_empty(folder: Path) -> bool:
    """Remove a folder, and that above it, as far as they are empty. Return whether the folder is
    gone."""
    try:
        folder.rmdir()
    except OSError as error:
        if error.errno in (ENOTEMPTY, EEXIST):
            return False
        if error.errno != ENOENT:
            raise
    with suppress(OSError):
        folder.parent.rmdir()
    return True


def give_to_owner_above(path: Path) -> None:
    """If root runs this, give the file to the owner of its folder, so that workers and web
    processes can read it."""
    give_to_owner_of(path.parent, path)


def give_to_owner_of(other: Path, path: Path) -> None:
    """If root runs this, give a file or folder to the owner of another."""
    if os.geteuid() == 0:
        owner = other.stat()
        with suppress(PermissionError):  # a network file system may map root to nobody
            os.chown(path, owner.st_uid, owner.st_gid)


def make_durable(path: str) -> None:
    """Sync a file to the disk, so that its content survives a power loss."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
