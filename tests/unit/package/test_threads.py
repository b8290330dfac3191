"""Packing on several threads."""

import hashlib
from collections.abc import Iterator

import pytest

from backup_tasks.package import compression


def test_the_packed_bytes_do_not_depend_on_how_many_threads_there_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Same input, same package, on whatever machine."""
    packed = set()
    for threads in (1, 2, 4):
        monkeypatch.setattr(compression, "_ZSTD_THREADS", threads)
        packed.add(b"".join(compression.compress(_lines(), "zstd")))

    assert len(packed) == 1


def _lines() -> Iterator[bytes]:
    """Some 24 MB, which takes several of the pieces that threads are given."""
    for number in range(60):
        yield b"".join(
            b'{"pk":%d,"sha256":"%s"}\n' % (line, hashlib.sha256(b"%d" % line).hexdigest().encode())
            for line in range(number * 4_500, (number + 1) * 4_500)
        )
