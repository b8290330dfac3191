"""Make a package: tar → compress → encrypt → file, pulled through generators, in flat memory.

What goes in is compared with what the manifest says about it while it streams by, so a package
never holds anything else than it announces.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from backup_tasks.error_classification import storage_failed
from backup_tasks.errors import BackupError, HandoverChanged, SourceChanged
from backup_tasks.package import names, tar
from backup_tasks.package.cipher import encrypt_stream
from backup_tasks.package.compression import Compression, compress
from backup_tasks.package.entries import ModelEntry
from backup_tasks.package.index import FileEntry, read_index
from backup_tasks.package.manifest import FileIndex, Manifest
from backup_tasks.package.streams import (
    HashingWriter,
    Progress,
    Reader,
    Written,
    as_file,
    chunks_of,
    written_whole,
)

OpenFile = Callable[[str, str], BinaryIO]
"""Open the file of (storage alias, name) for reading. Raises FileNotFoundError if it is gone."""


def write_package(
    target: Path,
    *,
    manifest: Manifest,
    rows: Path,
    index: Path | None,
    open_file: OpenFile,
    compression: Compression,
    recipients: Sequence[str],
    progress: Progress,
) -> Written:
    """Write the package to `target`, which appears only when it is complete and on disk.

    `rows / member` is the file of each model's rows; `index` is what `write_index` made (None if
    the manifest has no files). With `recipients` the package is encrypted. Same input, same
    package, until it is encrypted.

    Raises SourceChanged when a file is not, or no longer, what the index says; HandoverChanged when
    rows or index are not what the manifest says; KeyMissing for a wrong recipient;
    StorageUnavailable or StorageRefused when reading or writing fails.
    """
    content = _archive(manifest, rows, index, open_file, progress)
    try:
        # Closed from the inside out: an error leaves no file of the chain open.
        with (
            closing(content),
            closing(compress(content, compression)) as packed,
            written_whole(target) as file,
        ):
            writer = HashingWriter(file)
            if recipients:
                encrypt_stream(as_file(packed), writer, recipients)
            else:
                for chunk in packed:
                    writer.write(chunk)
        return writer.written()
    except OSError as error:
        raise storage_failed("the package can't be written", error, obj=str(target)) from error


def _archive(
    manifest: Manifest, rows: Path, index: Path | None, open_file: OpenFile, progress: Progress
) -> Generator[bytes]:
    if (manifest.files is None) != (index is None):
        raise HandoverChanged("manifest and list of files do not belong together", obj=manifest.id)
    content = manifest.to_json()
    Manifest.from_json(content)  # what could not be read is not written
    mtime = int(datetime.fromisoformat(manifest.created_at).timestamp())
    yield from tar.packed(names.MANIFEST, len(content), [content], mtime=mtime)
    if manifest.files and index:
        listing = _handed_over(index, names.INDEX, manifest.files)
        yield from tar.packed(names.INDEX, manifest.files.size, listing, mtime=mtime)
    for model in manifest.every_model:
        if model.member is not None:
            lines = _rows(rows / model.member, model, progress)
            yield from tar.packed(model.member, model.size, lines, mtime=mtime)
    if manifest.files and index:
        with _opened(index, names.INDEX) as source:
            for entry in read_index(source, manifest.files):
                data = _file(entry, open_file, progress)
                mode = int(entry.mode or "0600", 8) | 0o600
                yield from tar.packed(entry.member, entry.size, data, mtime=mtime, mode=mode)
    yield tar.END


def _rows(path: Path, model: ModelEntry, progress: Progress) -> Iterator[bytes]:
    lines = 0
    with closing(_handed_over(path, model.label, model)) as chunks:
        for chunk in chunks:
            lines += chunk.count(b"\n")
            progress(len(chunk))
            yield chunk
    if lines != model.count:
        raise HandoverChanged(
            f"the manifest says {model.count} rows, the handover holds {lines}", obj=model.label
        )


def _handed_over(path: Path, subject: str, announced: ModelEntry | FileIndex) -> Generator[bytes]:
    changed = HandoverChanged(
        "what the dump left in the workspace is not what its manifest says",
        obj=subject,
        hint="Start the backup again; nothing else may write to the workspace.",
    )
    with _opened(path, subject) as source:
        yield from _exactly(source, announced.size, announced.sha256, changed)


@contextlib.contextmanager
def _opened(path: Path, subject: str) -> Iterator[BinaryIO]:
    try:
        source = path.open("rb")
    except FileNotFoundError as error:
        raise HandoverChanged(
            f"{path} is missing", obj=subject, hint="Start the backup again."
        ) from error
    with source:
        yield source


def _file(entry: FileEntry, open_file: OpenFile, progress: Progress) -> Iterator[bytes]:
    subject = f"{entry.storage}:{entry.name}"
    changed = SourceChanged(
        "the file changed while it was being packed", obj=subject, hint="It will be tried again."
    )
    try:
        with closing(open_file(entry.storage, entry.name)) as source:
            for chunk in _exactly(source, entry.size, entry.sha256, changed):
                progress(len(chunk))
                yield chunk
    except FileNotFoundError as error:
        raise SourceChanged(
            "the file was deleted while it was being packed",
            obj=subject,
            hint="It will be tried again.",
        ) from error
    except OSError as error:
        raise storage_failed("the file can't be read", error, obj=subject) from error


def _exactly(source: Reader, size: int, sha256: str, changed: BackupError) -> Iterator[bytes]:
    """Yield what `source` holds; raise `changed` unless it has that size and that SHA-256."""
    digest = hashlib.sha256()
    left = size
    for chunk in chunks_of(source):
        left -= len(chunk)
        if left < 0:
            raise changed
        digest.update(chunk)
        yield chunk
    if left or digest.hexdigest() != sha256:
        raise changed
