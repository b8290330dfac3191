"""Lists a folder of files. Links, pipes, sockets and devices are recognized without opening them. A
link that leads outside the storage is followed only if BACKUP['FOLLOW_LINKS'] says so."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from backup_tasks.storage.undo_files import is_of_a_run

_KINDS = {
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


@dataclass(frozen=True, kw_only=True)
class Found:
    """Something that is no folder."""

    name: str
    """Path below the folder, its parts divided by slashes."""
    left_out: str = ""
    """Why it is not taken for a file. Empty for a file."""


def in_order(part: str) -> bytes:
    """Return the sort key of a part of a path: its bytes, which need not be UTF-8. The index of a
    package is sorted in the same way."""
    return part.encode("utf-8", "surrogateescape")


class FolderScan:
    """A folder, and how links in it are taken. What is in its folder of a `reserved` name may be
    `apart`, in a folder elsewhere."""

    def __init__(self, root: Path, *, reserved: str, apart: Path | None, follow: bool) -> None:
        self._root = root
        self._real = os.path.realpath(root)
        self._reserved = reserved
        self._apart = apart
        self._ours = [f"{self._real}/{reserved}", *([os.path.realpath(apart)] if apart else [])]
        self._follow = follow

    def found(self, folder: str = "") -> Iterator[Found]:
        """Yield what is in the folder and in those below it, in the order of their paths' parts;
        the reserved folder left out, unless it is what was asked for."""
        yield from self._below(folder, (os.path.realpath(self._path(folder)),))

    def why_left_out(self, path: str | Path) -> str:
        """Return why what has this path is not taken for a file or a folder; "" if it is."""
        try:
            if Path(path).is_symlink():
                real = os.path.realpath(path)
                if any(self._within(real, ours) for ours in self._ours):
                    return f"a link to {self._reserved}"
                if not self._follow and not self._within(real, self._real):
                    return "a link that leads outside the storage"
            mode = Path(path).stat().st_mode
        except (FileNotFoundError, NotADirectoryError):
            return "a link that leads nowhere" if Path(path).is_symlink() else ""
        except OSError as error:
            if Path(path).is_symlink():
                return f"a link that can't be followed ({error.strerror})"
            raise
        return _KINDS.get(stat.S_IFMT(mode), "")

    def obstacle(self, name: str) -> tuple[str, str]:
        """Return what keeps a file from being written under a name, and why it does: a link to
        elsewhere among its folders, or one, or a pipe, in its place. ("", "") if nothing does."""
        parts = name.split("/")
        for length in range(1, len(parts) + 1):
            part = "/".join(parts[:length])
            if why := self.why_left_out(self._path(part)):
                return part, why
        return "", ""

    def _below(self, folder: str, above: tuple[str, ...]) -> Iterator[Found]:
        try:
            with os.scandir(self._path(folder)) as entries:
                there = sorted(entries, key=lambda entry: in_order(entry.name))
        except FileNotFoundError:
            return
        for entry in there:
            name = f"{folder}/{entry.name}" if folder else entry.name
            if name == self._reserved:
                continue
            plain = entry.is_file(follow_symlinks=False) or entry.is_dir(follow_symlinks=False)
            why = "" if plain else self.why_left_out(entry.path)
            if not why and entry.is_dir():
                real = os.path.realpath(entry.path)
                if real not in above:
                    yield from self._below(name, (*above, real))
                    continue
                why = "a link to a folder that it is in"
            yield Found(name=name, left_out=why)

    def _path(self, name: str) -> Path:
        if self._apart and is_of_a_run(name):
            return self._apart / name.removeprefix(self._reserved).lstrip("/")
        return self._root / name

    @staticmethod
    def _within(path: str, folder: str) -> bool:
        return path == folder or path.startswith(f"{folder}/")
