"""Streams between the layers of a package: iterators of chunks, and files written whole."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from backup_tasks.progress import stop_check

CHUNK = 1 << 20
"""Bytes that are read, hashed and written at once."""

Progress = Callable[[int], None]
"""Called with the bytes done since the last call. For a package they are bytes of content, and all
calls add up to `manifest.totals.content_size`."""


class Reader(Protocol):
    """Anything that reads bytes: `read(n)` returns at most n, and nothing at the end."""

    def read(self, size: int = ..., /) -> bytes: ...


class Writer(Protocol):
    """Anything that takes bytes, all of them at once."""

    def write(self, data: bytes, /) -> object: ...


@dataclass(frozen=True, kw_only=True)
class Written:
    """Size and SHA-256 of what was written."""

    size: int
    """Bytes."""

    sha256: str
    """Hexadecimal, lower case."""


class HashingWriter:
    """Pass bytes on to a writer; count and hash them on the way."""

    def __init__(self, target: Writer) -> None:
        self._target = target
        self._hash = hashlib.sha256()
        self._size = 0

    def write(self, data: bytes, /) -> int:
        self._target.write(data)
        self._hash.update(data)
        self._size += len(data)
        return len(data)

    @property
    def size(self) -> int:
        """Bytes that were written so far."""
        return self._size

    def written(self) -> Written:
        """Return size and SHA-256 of what was written so far."""
        return Written(size=self._size, sha256=self._hash.hexdigest())


class _ChunkSource(io.RawIOBase):
    def __init__(self, chunks: Iterable[bytes]) -> None:
        super().__init__()
        self._chunks = iter(chunks)
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]  # always a memoryview
        while not self._rest:
            following = next(self._chunks, None)
            if following is None:
                return 0
            self._rest = memoryview(following)
        taken = min(len(buffer), len(self._rest))
        buffer[:taken] = self._rest[:taken]
        self._rest = self._rest[taken:]
        return taken


def as_file(chunks: Iterable[bytes]) -> io.BufferedReader:
    """Return chunks as a file to read from. What the iterator raises, `read` raises."""
    return io.BufferedReader(_ChunkSource(chunks), CHUNK)


def chunks_of(source: Reader, size: int = CHUNK) -> Iterator[bytes]:
    """Yield what `source` holds, at most `size` bytes at a time. Raises what stops the step."""
    stop_if_told = stop_check()
    while chunk := source.read(size):
        yield chunk
        stop_if_told()


def gathered(chunks: Iterable[bytes], size: int = CHUNK) -> Iterator[bytes]:
    """Yield the same bytes in pieces of at least `size`: a million small files are not a million
    calls of a compressor."""
    pending: list[bytes] = []
    length = 0
    for chunk in chunks:
        pending.append(chunk)
        length += len(chunk)
        if length >= size:
            yield b"".join(pending)
            pending, length = [], 0
    if pending:
        yield b"".join(pending)


def copy(source: Reader, target: Writer, progress: Progress | None = None) -> Written:
    """Copy everything, and return size and SHA-256 of it. `progress` gets the bytes of a piece."""
    writer = HashingWriter(target)
    for chunk in chunks_of(source):
        writer.write(chunk)
        if progress:
            progress(len(chunk))
    return writer.written()


@contextlib.contextmanager
def written_whole(target: Path) -> Iterator[io.BufferedWriter]:
    """Write a file that appears under its name only when it is complete and on disk.

    The bytes go to `.NAME.partial` beside it (readable by its owner only), are synced, and are then
    renamed over `target`. After an error, neither is there; after a crash, at most the partial is.
    Raises OSError.
    """
    partial = target.with_name(partial_name(target.name))
    partial.unlink(missing_ok=True)
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        partial.replace(target)
        sync_folder(target.parent)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def partial_name(name: str) -> str:
    """Return what a file is called while it is written."""
    return f".{name}.partial"


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
