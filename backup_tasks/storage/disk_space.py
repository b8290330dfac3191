"""Checks that the disks have enough room, before anything is written.

Only sizes that are known for certain count, so that nothing is refused that would fit. Only disks
of this machine are checked: the room that a database server or a bucket has is not known here.
"""

from __future__ import annotations

import shutil
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from backup_tasks.errors import StorageRefused


@dataclass(frozen=True, kw_only=True)
class Need:
    """So many bytes are going to be written somewhere below a folder."""

    what: str
    folder: Path
    """Need not exist yet."""
    size: int


@dataclass(frozen=True, kw_only=True)
class Disk:
    """What is going to be written to one file system, and how much room it has."""

    folder: Path
    """One that exists."""
    needs: tuple[Need, ...]
    free: int
    """Bytes."""

    @property
    def needed(self) -> int:
        """Bytes of all needs together."""
        return sum(need.size for need in self.needs)


def disks(needs: Iterable[Need]) -> list[Disk]:
    """Return the file systems that the needs are of; those of one add up."""
    by_disk: dict[int, list[Need]] = defaultdict(list)
    for need in needs:
        by_disk[_existing(need.folder).stat().st_dev].append(need)
    found = []
    for together in by_disk.values():
        folder = _existing(together[0].folder)
        free = shutil.disk_usage(folder).free
        found.append(Disk(folder=folder, needs=tuple(together), free=free))
    return found


def require(needs: Iterable[Need]) -> None:
    """Raise StorageRefused, with all figures in bytes, MB or GB, if a disk has too little room.

    Needs of one file system add up.
    """
    for disk in disks(needs):
        if disk.needed > disk.free:
            parts = ", ".join(f"{need.what} {in_words(need.size)}" for need in disk.needs)
            raise StorageRefused(
                f"the disk has not enough room: {in_words(disk.needed)} needed ({parts}), "
                f"{in_words(disk.free)} free",
                obj=str(disk.folder),
                hint="Live was not touched. Free some space there, then `resume_run`.",
            )


def _existing(folder: Path) -> Path:
    """Return the folder, or the nearest one above it that exists."""
    folder = folder.absolute()
    return next(path for path in (folder, *folder.parents) if path.exists())


def in_words(size: int) -> str:
    """Return a size in GB or MB (powers of ten), or in bytes below one MB."""
    for unit, factor in (("GB", 10**9), ("MB", 10**6)):
        if size >= factor:
            return f"{size / factor:.1f} {unit}"
    return f"{size} bytes"
