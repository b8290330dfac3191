"""The list of a package's files: the member `files.jsonl`, one JSON object a line.

    {"storage":"default","name":"2026/sop.pdf","size":123,"sha256":"…","mode":"0640","owner":"33:33"}

A package may hold millions of files, so the list is not part of the manifest, and nobody holds it
in memory. It is sorted by path, which makes it the same for the same files, and lets its reader see
a file listed twice, or a name that is both a file and a folder, by looking at two neighbours.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

from backup_tasks.errors import DumpFailed
from backup_tasks.package import names, strict
from backup_tasks.package.damage import damaged
from backup_tasks.package.facts import without_empty
from backup_tasks.package.manifest import FileIndex
from backup_tasks.package.names import RESERVED
from backup_tasks.package.streams import written_whole

_MODE = re.compile("0[0-7]{3}")
_OWNER = re.compile("[0-9]{1,10}:[0-9]{1,10}")
_NOBODY = (1 << 32) - 1
"""To chown, "as it was"."""
_LINE_LIMIT = 1 << 16
"""Bytes of the longest line that is read."""


@dataclass(frozen=True, kw_only=True)
class FileEntry:
    """A file in a package."""

    storage: str
    """Storage alias."""

    name: str
    """Name in that storage."""

    size: int
    """Bytes."""

    sha256: str

    mode: str = ""
    """Permissions in octal, as in `0640`; empty, and left out, where the storage knows none."""

    owner: str = ""
    """Numbers of user and group, as in `33:33`; empty, and left out, as with the mode."""

    @property
    def owner_ids(self) -> tuple[int, ...]:
        """Numbers of user and group; none where they are not known."""
        return tuple(map(int, self.owner.split(":"))) if self.owner else ()

    @property
    def member(self) -> str:
        return names.file_member(self.storage, self.name)


def write_index(entries: Iterable[FileEntry], target: Path) -> FileIndex:
    """Write the index of `entries`, in whatever order they come, to `target`.

    They are sorted on disk. Raises DumpFailed for a file that can't be in a package: listed twice,
    of a name that leaves its folder, or of a name that is also a folder's. Raises OSError.
    """
    count = total_size = size = 0
    sha256 = hashlib.sha256()
    with _sorted(entries) as ordered, written_whole(target) as file:
        previous: FileEntry | None = None
        for entry in ordered:
            if previous and (problem := _conflict(previous, entry)):
                raise DumpFailed(
                    problem,
                    obj=f"{entry.storage}:{entry.name}",
                    hint="Rename one of the files in the storage, then back up again.",
                )
            values = without_empty(asdict(entry), "mode", "owner")
            line = json.dumps(values, separators=(",", ":")).encode() + b"\n"
            file.write(line)
            sha256.update(line)
            count, total_size, size = count + 1, total_size + entry.size, size + len(line)
            previous = entry
    return FileIndex(count=count, total_size=total_size, sha256=sha256.hexdigest(), size=size)


def read_index(file: BinaryIO, announced: FileIndex) -> Iterator[FileEntry]:
    """Yield the entries of an index.

    Raises PackageDamaged, naming the line, where it is not a list as `write_index` writes it, or
    not the one that the manifest announced.
    """
    number = total_size = 0
    previous: FileEntry | None = None
    while line := file.readline(_LINE_LIMIT):
        number += 1
        entry = _entry(line, f"{names.INDEX} line {number}")
        if previous and (problem := _conflict(previous, entry)):
            raise damaged(problem, obj=f"{names.INDEX} line {number}")
        total_size += entry.size
        previous = entry
        yield entry
    if (number, total_size) != (announced.count, announced.total_size):
        raise damaged(
            f"the manifest says {announced.count} files of {announced.total_size} bytes, "
            f"the list holds {number} of {total_size}",
            obj=names.INDEX,
        )


def _entry(line: bytes, where: str) -> FileEntry:
    record = strict.parse(line, where)
    entry = FileEntry(
        storage=record.any_text("storage"),
        name=record.any_text("name"),
        size=record.count("size"),
        sha256=record.sha256("sha256"),
        mode=record.text_if_any("mode"),
        owner=record.text_if_any("owner"),
    )
    record.done()
    if entry.mode and not _MODE.fullmatch(entry.mode):
        raise record.wrong("mode", "permissions in octal, as in 0640")
    if entry.owner and not (_OWNER.fullmatch(entry.owner) and max(entry.owner_ids) < _NOBODY):
        raise record.wrong("owner", "numbers of user and group, as in 33:33")
    if problem := _unsafe(entry):
        raise damaged(problem, obj=where)
    return entry


def _unsafe(entry: FileEntry) -> str:
    if "/" in entry.storage or not names.is_safe(entry.storage):
        return f"{entry.storage!r} can't be the name of a storage in a package"
    if not names.is_safe(entry.name):
        return f"{entry.name!r} can't be the name of a file in a package"
    if entry.name.partition("/")[0].casefold() == RESERVED:
        return f"{entry.name!r} lies in {RESERVED}, where only undo keeps files"
    return ""


def _conflict(previous: FileEntry, entry: FileEntry) -> str:
    before, after = _sort_key(previous), _sort_key(entry)
    if before == after:
        return f"{entry.member} is listed twice"
    if after.startswith(before + b"\0"):
        return f"{previous.member} is both a file and a folder"
    return "" if before < after else f"{entry.member} is out of order"


def _sort_key(entry: FileEntry) -> bytes:
    # NUL is in no name and sorts before everything: whatever is below a folder follows its name.
    return entry.member.replace("/", "\0").encode("utf-8", "surrogateescape")


@contextlib.contextmanager
def _sorted(entries: Iterable[FileEntry]) -> Iterator[Iterator[FileEntry]]:
    # An unnamed database is a temporary file of SQLite's, gone when it is closed.
    with contextlib.closing(sqlite3.connect("", isolation_level=None)) as database:
        database.execute("BEGIN")
        database.execute("CREATE TABLE entry (key BLOB, line TEXT)")
        database.executemany("INSERT INTO entry VALUES (?, ?)", _rows(entries))
        lines = database.execute("SELECT line FROM entry ORDER BY key")
        yield (FileEntry(**json.loads(line)) for (line,) in lines)


def _rows(entries: Iterable[FileEntry]) -> Iterator[tuple[bytes, str]]:
    for entry in entries:
        if problem := _unsafe(entry):
            raise DumpFailed(
                problem,
                obj=f"{entry.storage}:{entry.name!r}",
                hint="Rename the file in the storage, then back up again.",
            )
        yield _sort_key(entry), json.dumps(asdict(entry))
