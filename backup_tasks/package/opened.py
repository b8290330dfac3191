"""Opens a package: decrypted as a whole, then decompressed while it is read."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from backup_tasks.error_classification import storage_failed
from backup_tasks.errors import BackupError, PackageNotFound
from backup_tasks.package import names
from backup_tasks.package.cipher import decrypt_stream, is_age
from backup_tasks.package.compression import decompress, detect
from backup_tasks.package.damage import damaged
from backup_tasks.package.manifest import largest_in
from backup_tasks.package.tar import BLOCK, TarStream
from backup_tasks.printable import shown


@dataclass(frozen=True, kw_only=True)
class Opened:
    """A package that is open."""

    stream: BinaryIO
    """Its archive."""

    package_size: int
    """Bytes of it, packed."""


@contextlib.contextmanager
def open_clear(package: Path, identities: Sequence[str], scratch: Path) -> Iterator[Opened]:
    """Open the tar stream of a package, decrypted completely before a byte of it is used."""
    with source_of(package) as source, contextlib.ExitStack() as stack:
        size = os.fstat(source.fileno()).st_size
        clear: BinaryIO = source
        if is_age(_first(source)):
            clear = stack.enter_context(tempfile.TemporaryFile(dir=scratch))
            decrypt_stream(source, clear, identities)
            clear.seek(0)
        yield Opened(stream=decompress(clear, detect(_first(clear))), package_size=size)


def _first(source: BinaryIO) -> bytes:
    first = source.read(BLOCK)
    source.seek(0)
    return first


def source_of(package: Path) -> BinaryIO:
    """Open the file of a package. Raises PackageNotFound, OSError."""
    try:
        return package.open("rb")
    except FileNotFoundError as error:
        raise PackageNotFound("there is no such package", obj=str(package)) from error


@contextlib.contextmanager
def about(package: Path) -> Iterator[None]:
    """Let every error name something, if nothing else then the package."""
    try:
        yield
    except BackupError as error:
        error.about(shown(package.name))
        raise


@contextlib.contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Raise StorageUnavailable or StorageRefused instead of OSError."""
    try:
        yield
    except OSError as error:
        subject = str(error.filename or path)
        raise storage_failed("the package can't be read or unpacked", error, obj=subject) from error


def manifest_bytes(opened: Opened, archive: TarStream) -> bytes:
    """Read the first member, which is the manifest. Raises PackageDamaged."""
    member = archive.next()
    if member is None or member.name != names.MANIFEST:
        found = member.name if member else "nothing"
        raise damaged(f"the package starts with {found}, not with its manifest")
    if member.size > (limit := largest_in(opened.package_size)):
        raise damaged(
            f"the manifest has {member.size} bytes, more than {limit} in a package of "
            f"{opened.package_size}"
        )
    return b"".join(archive.content(member))
