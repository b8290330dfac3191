"""A package and its sidecar as two files of a folder: put there whole, data first, sidecar last."""

from __future__ import annotations

import contextlib
import stat
from collections.abc import Iterator
from pathlib import Path

from backup_tasks.error_classification import storage_failed
from backup_tasks.errors import HandoverChanged, Misconfigured
from backup_tasks.package import names
from backup_tasks.package.damage import damaged
from backup_tasks.package.sidecar import SIDECAR_LIMIT, Sidecar
from backup_tasks.package.streams import (
    HashingWriter,
    Reader,
    Writer,
    Written,
    chunks_of,
    copy,
    written_whole,
)


def publish_to_path(path: Path, target: Path, sidecar: Sidecar) -> None:
    """Put the package at `path`, and its sidecar, where an operator wants them: at `target`.

    Doing so again is fine, also after a crash between the two. Raises Misconfigured if something
    else is there, or the name can't be a package's; HandoverChanged if the file is not what the
    sidecar says; StorageUnavailable, StorageRefused.
    """
    if not names.is_file_name(target.name):
        raise Misconfigured(
            "a package can't have that name",
            obj=str(target),
            hint="Choose one that neither starts with a dot nor ends in .json.",
        )
    if sidecar.name != target.name:
        raise Misconfigured(f"the sidecar is made for {sidecar.name}", obj=str(target))
    with _disk_errors(target):
        existing = sidecar_beside(target)
        if existing is not None:
            must_be_same(existing, sidecar)
        elif target.exists() and not _holds(target, sidecar):
            raise Misconfigured(
                "a file of that name is there already", obj=str(target), hint="Choose another name."
            )
        put(path, target, sidecar)


def sidecar_beside(package: Path) -> Sidecar | None:
    """Return the sidecar beside a package that is a file, or None if there is none.

    Raises PackageDamaged, DoesNotFit, StorageUnavailable, StorageRefused.
    """
    beside = package.with_name(names.sidecar_name(package.name))
    with _disk_errors(beside), contextlib.suppress(FileNotFoundError):
        must_be_file(beside)
        with beside.open("rb") as file:
            return read_sidecar(file, beside.name)
    return None


def must_be_file(path: Path) -> None:
    """Raise PackageDamaged unless it is a file, or leads to one: whoever opens a pipe waits for
    ever. Raises OSError."""
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode):
        kind = "a folder" if stat.S_ISDIR(mode) else "a pipe, a socket or a device"
        raise damaged(f"this is no file but {kind}", obj=path.name)


def check_beside(package: Path, sidecar: Sidecar) -> None:
    """Compare a package that is a file with its sidecar.

    Raises PackageDamaged when size or SHA-256 differ, StorageUnavailable, StorageRefused.
    """
    with _disk_errors(package), package.open("rb") as source:
        copy_announced(source, Void(), sidecar)


def _holds(target: Path, sidecar: Sidecar) -> bool:
    if not target.is_file() or target.stat().st_size != sidecar.size:
        return False
    return copy_from(target, Void()).sha256 == sidecar.sha256


def put(path: Path, target: Path, sidecar: Sidecar) -> None:
    """Copy the package at `path` to `target`, then write its sidecar beside it.

    Raises HandoverChanged if it is missing or not what the sidecar says, OSError.
    """
    with written_whole(target) as copied:
        must_match(copy_from(path, copied), sidecar)
    with written_whole(target.with_name(sidecar.file_name)) as beside:
        beside.write(sidecar.to_json())


def copy_from(path: Path, target: Writer) -> Written:
    """Copy a file of the workspace. Raises HandoverChanged if it is missing, OSError."""
    try:
        source = path.open("rb")
    except FileNotFoundError as error:
        raise HandoverChanged(
            "the package to publish is missing", obj=str(path), hint="Start the backup again."
        ) from error
    with source:
        return copy(source, target)


def copy_announced(source: Reader, target: Writer, sidecar: Sidecar) -> None:
    """Copy a package, at most as many bytes as its sidecar says.

    Raises PackageDamaged when size or SHA-256 differ.
    """
    writer = HashingWriter(target)
    for chunk in chunks_of(source):
        if writer.size + len(chunk) > sidecar.size:
            raise damaged(f"the package has more than {sidecar.size} bytes", obj=sidecar.name)
        writer.write(chunk)
    written = writer.written()
    if written.size != sidecar.size:
        raise damaged(
            f"the sidecar says {sidecar.size} bytes, the package has {written.size}",
            obj=sidecar.name,
        )
    if written.sha256 != sidecar.sha256:
        raise damaged("the package does not have the SHA-256 of its sidecar", obj=sidecar.name)


def must_match(written: Written, sidecar: Sidecar) -> None:
    """Raise HandoverChanged unless what was copied is what the sidecar was made for."""
    if written != Written(size=sidecar.size, sha256=sidecar.sha256):
        raise HandoverChanged(
            "the package in the workspace is not the one that was packed",
            obj=sidecar.name,
            hint="Start the backup again; nothing else may write to the workspace.",
        )


def must_be_same(existing: Sidecar, sidecar: Sidecar) -> None:
    """Raise Misconfigured unless both are of the same package: names are never used twice."""
    if (existing.id, existing.sha256) != (sidecar.id, sidecar.sha256):
        raise Misconfigured(
            f"another package has that name already (id {existing.id})",
            obj=sidecar.name,
            hint="Choose another name.",
        )


def read_sidecar(file: Reader, file_name: str) -> Sidecar:
    """Read a sidecar. Raises PackageDamaged, DoesNotFit."""
    content = file.read(SIDECAR_LIMIT + 1)
    if len(content) > SIDECAR_LIMIT:
        raise damaged("this is too large for a sidecar", obj=file_name)
    return Sidecar.from_json(content, file_name)


class Void:
    """A writer that keeps nothing."""

    def write(self, data: bytes, /) -> int:
        return len(data)


@contextlib.contextmanager
def _disk_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        subject = str(error.filename or path)
        raise storage_failed("reading or writing failed", error, obj=subject) from error
