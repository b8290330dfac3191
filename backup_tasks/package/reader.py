"""Reads a package that may come from a stranger: each member must be the next one that the manifest
announced.

Memory is flat, nothing is written outside the folder asked for, and never more bytes than the
manifest announced.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from backup_tasks.errors import BackupError, Misconfigured
from backup_tasks.package import names
from backup_tasks.package.cipher import is_age
from backup_tasks.package.damage import damaged
from backup_tasks.package.index import read_index
from backup_tasks.package.manifest import Manifest
from backup_tasks.package.opened import (
    Opened,
    about,
    disk_errors,
    manifest_bytes,
    open_clear,
    source_of,
)
from backup_tasks.package.streams import Progress
from backup_tasks.package.tar import BLOCK, Member, TarStream

_COUNTABLE = 64 << 20
"""Bytes that a member of rows may be too long, and its rows still be counted for the message."""


Admit = Callable[[Manifest], None]
"""Called with the manifest before anything else is read; what it raises ends the reading."""


def _anything(manifest: Manifest) -> None:
    """Admit every package."""


def unpack(
    package: Path,
    into: Path,
    *,
    identities: Sequence[str],
    progress: Progress,
    admit: Admit = _anything,
) -> Manifest:
    """Unpack a package into the folder `into`, and return its manifest.

    `into` must be empty or absent. It then holds the members under their names: `manifest.json`,
    `files.jsonl`, `database/…`, `files/<storage>/<name>`. After an error it is empty again.
    An encrypted package is decrypted first, as a whole, to an unnamed file there.

    Raises PackageNotFound; PackageDamaged, naming the member or the model; DoesNotFit for a newer
    format; KeyMissing; StorageUnavailable, StorageRefused; Misconfigured when `into` is not empty;
    and what `admit` raises.
    """
    with about(package), disk_errors(into):
        into.mkdir(mode=0o700, parents=True, exist_ok=True)
        if any(into.iterdir()):
            raise Misconfigured("a package is unpacked into an empty folder only", obj=str(into))
        try:
            with open_clear(package, identities, into) as opened:
                return _walk(opened, _Folder(into), progress, admit)
        except BaseException:
            _empty(into)
            raise


def check(
    package: Path,
    *,
    identities: Sequence[str],
    scratch: Path,
    progress: Progress,
    admit: Admit = _anything,
) -> Manifest:
    """Prove that `unpack` would succeed, writing nothing but temporary files to `scratch`.

    Raises the errors of `unpack`.
    """
    with (
        about(package),
        disk_errors(scratch),
        tempfile.TemporaryFile(dir=scratch) as index,
        open_clear(package, identities, scratch) as opened,
    ):
        return _walk(opened, _Nowhere(index), progress, admit)


def read_manifest(package: Path, *, identities: Sequence[str], scratch: Path) -> Manifest:
    """Return the manifest of a package without looking at the rest of it.

    An encrypted package must be decrypted as a whole for that, to an unnamed file in `scratch`.
    Raises the errors of `unpack`.
    """
    with about(package), disk_errors(scratch), open_clear(package, identities, scratch) as opened:
        return Manifest.from_json(manifest_bytes(opened, TarStream(opened.stream)))


def is_encrypted(package: Path) -> bool:
    """Return whether a package is encrypted.

    Raises PackageNotFound, StorageUnavailable, StorageRefused.
    """
    with about(package), disk_errors(package), source_of(package) as source:
        return is_age(source.read(BLOCK))


class _Target(Protocol):
    """Where the content of members goes."""

    def create(self, member: str) -> BinaryIO: ...

    def index(self) -> BinaryIO:
        """Return `files.jsonl` for reading, after it was created."""
        ...


class _Folder:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def create(self, member: str) -> BinaryIO:
        path = self._folder / member
        path.parent.mkdir(parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        return os.fdopen(os.open(path, flags, 0o600), "wb")

    def index(self) -> BinaryIO:
        return (self._folder / names.INDEX).open("rb")


class _Nowhere:
    """Keep the index, which is needed to go on, and nothing else."""

    def __init__(self, index: BinaryIO) -> None:
        self._index = index

    def create(self, member: str) -> BinaryIO:
        if member == names.INDEX:
            return os.fdopen(os.dup(self._index.fileno()), "wb")
        return Path(os.devnull).open("wb")

    def index(self) -> BinaryIO:
        self._index.seek(0)
        return os.fdopen(os.dup(self._index.fileno()), "rb")


@dataclass(frozen=True, kw_only=True)
class _Expected:
    """The member that must come next."""

    name: str
    size: int
    sha256: str
    model: str | None = None
    """Label of the model whose rows it holds."""

    rows: int = 0


def _walk(opened: Opened, target: _Target, progress: Progress, admit: Admit) -> Manifest:
    archive = TarStream(opened.stream)
    content = manifest_bytes(opened, archive)
    manifest = Manifest.from_json(content)
    admit(manifest)
    with target.create(names.MANIFEST) as file:
        file.write(content)
    for expected in _announced(manifest, target):
        counted = progress if expected.name != names.INDEX else _ignore
        _take(archive, expected, target, counted)
    extra = archive.next()
    if extra is not None:
        raise damaged(f"{extra.name} is in the package, not in its manifest", obj=extra.name)
    return manifest


def _announced(manifest: Manifest, target: _Target) -> Iterator[_Expected]:
    files = manifest.files
    if files is not None:
        yield _Expected(name=names.INDEX, size=files.size, sha256=files.sha256)
    for model in manifest.every_model:
        if model.member is not None:
            yield _Expected(
                name=model.member,
                size=model.size,
                sha256=model.sha256,
                model=model.label,
                rows=model.count,
            )
    if files is not None:
        with target.index() as index:
            for entry in read_index(index, files):
                yield _Expected(name=entry.member, size=entry.size, sha256=entry.sha256)


def _take(archive: TarStream, expected: _Expected, target: _Target, progress: Progress) -> None:
    member = archive.next()
    if member is None or member.name != expected.name:
        raise _missing(expected, member)
    if member.size != expected.size:
        raise _wrong_size(archive, expected, member)
    digest = hashlib.sha256()
    lines = 0
    with target.create(expected.name) as file:
        for chunk in archive.content(member):
            file.write(chunk)
            digest.update(chunk)
            lines += chunk.count(b"\n") if expected.model else 0
            progress(len(chunk))
    if lines != expected.rows:
        raise _wrong_count(expected, str(lines))
    if digest.hexdigest() != expected.sha256:
        raise damaged(
            f"{expected.name} does not have the SHA-256 that was announced",
            obj=expected.model or expected.name,
        )


def _missing(expected: _Expected, found: Member | None) -> BackupError:
    if expected.model is not None and found is None:
        return _wrong_count(expected, "none")
    instead = f"{found.name} comes instead" if found else "the package ends there"
    return damaged(f"{expected.name} is missing: {instead}", obj=expected.model or expected.name)


def _wrong_size(archive: TarStream, expected: _Expected, member: Member) -> BackupError:
    if expected.model is not None and member.size <= expected.size + _COUNTABLE:
        lines = sum(chunk.count(b"\n") for chunk in archive.content(member))
        if lines != expected.rows:
            return _wrong_count(expected, str(lines))
    return damaged(
        f"the manifest says {expected.size} bytes, the package holds {member.size}",
        obj=expected.model or expected.name,
    )


def _wrong_count(expected: _Expected, found: str) -> BackupError:
    return damaged(
        f"the manifest says {expected.rows} rows, the package holds {found}",
        obj=expected.model or expected.name,
    )


def _empty(folder: Path) -> None:
    for entry in folder.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def _ignore(size: int) -> None:
    """The index is not content: progress adds up to rows and files."""
