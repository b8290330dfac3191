"""Looks into a package: one pass over it, from its manifest to what was asked for.

A package is one stream, so whatever lies before the wanted member is decompressed and passed over.
Nothing is kept, and no more bytes are read than the manifest announced. A look proves nothing of
what it passes over: whoever wants proof uses `reader.check`.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from backup_tasks.package import names
from backup_tasks.package.damage import damaged
from backup_tasks.package.entries import ModelEntry
from backup_tasks.package.index import FileEntry, read_index
from backup_tasks.package.manifest import Manifest
from backup_tasks.package.opened import about, disk_errors, manifest_bytes, open_clear
from backup_tasks.package.streams import as_file
from backup_tasks.package.tar import TarStream

LINE_LIMIT = 4 << 20
"""Bytes of the longest row that is given."""


class Look:
    """An open package. What is asked for later must lie further behind: the list of files, then the
    rows of the models in their order, then the files in theirs."""

    def __init__(self, archive: TarStream, manifest: Manifest) -> None:
        self.manifest = manifest
        self._archive = archive
        files = manifest.files
        self._unread: Iterator[bytes] = iter(())
        self._left = manifest.totals.content_size + (files.size if files else 0)

    def files(self) -> Iterator[FileEntry]:
        """Yield what the package says of its files. Raises PackageDamaged."""
        if self.manifest.files is None:
            return
        chunks = self._member(names.INDEX, self.manifest.files.size)
        yield from read_index(as_file(chunks), self.manifest.files)

    def lines(self, model: ModelEntry) -> Iterator[bytes | None]:
        """Yield the lines of a model without their ends, None for one that is longer than
        LINE_LIMIT. Raises PackageDamaged, of what only the end shows at the end."""
        if model.member is None:
            return
        digest, lines = hashlib.sha256(), 0

        def hashed() -> Iterator[bytes]:
            for chunk in self._member(model.member or "", model.size):
                digest.update(chunk)
                yield chunk

        file = as_file(hashed())
        while line := file.readline(LINE_LIMIT):
            lines += 1
            whole = line.endswith(b"\n")
            while line and not line.endswith(b"\n"):
                line = file.readline(LINE_LIMIT)
            yield line[:-1] if whole else None
        if lines != model.count or digest.hexdigest() != model.sha256:
            raise damaged("the rows are not those that the manifest announced", obj=model.label)

    def content(self, entry: FileEntry) -> Iterator[bytes]:
        """Yield what a file holds. Raises PackageDamaged, at the end where it does not have its
        SHA-256."""
        digest = hashlib.sha256()
        for chunk in self._member(entry.member, entry.size):
            digest.update(chunk)
            yield chunk
        if digest.hexdigest() != entry.sha256:
            raise damaged("the file does not have the SHA-256 that was announced", obj=entry.member)

    def _member(self, name: str, size: int) -> Iterator[bytes]:
        """Pass over what lies before a member, and yield its content."""
        _pass_over(self._unread)  # of a member that was not read to its end
        while (member := self._archive.next()) is not None:
            self._left -= member.size
            if self._left < 0:
                raise damaged("the package holds more than its manifest announced", obj=member.name)
            if member.name == name:
                if member.size != size:
                    raise damaged(
                        f"the manifest says {size} bytes, the package holds {member.size}", obj=name
                    )
                self._unread = self._archive.content(member)
                for chunk in self._unread:  # noqa: UP028  # `yield from` would close it, too
                    yield chunk
                return
            _pass_over(self._archive.content(member))
        raise damaged(f"{name} is missing: the package ends before it", obj=name)


def _pass_over(content: Iterator[bytes]) -> None:
    for _ in content:
        pass


@contextlib.contextmanager
def look_into(package: Path, *, identities: Sequence[str], scratch: Path) -> Iterator[Look]:
    """Open a package for one pass over it.

    An encrypted package is decrypted as a whole first, to an unnamed file in `scratch`. Raises
    PackageNotFound, PackageDamaged, DoesNotFit for a newer format, KeyMissing, StorageUnavailable,
    StorageRefused.
    """
    with about(package), disk_errors(scratch), open_clear(package, identities, scratch) as opened:
        archive = TarStream(opened.stream)
        yield Look(archive, Manifest.from_json(manifest_bytes(opened, archive)))
