from __future__ import annotations

import io
import tarfile

import pytest

from backup_tasks.errors import PackageDamaged
from backup_tasks.package.tar import END, Member, TarStream, packed

NAMES = [
    "a",
    "a/" * 60 + "b",
    "x" * 255,
    "ü/\N{SNOWMAN}",
    "\udcff/raw",
    "with\nnewline",
    "back\\slash",
]


def test_headers_come_back_as_they_were_and_as_other_tar_programs_read_them() -> None:
    archive = b"".join(b"".join(packed(name, 3, [b"abc"], mtime=7)) for name in NAMES) + END

    stream = TarStream(io.BytesIO(archive))
    for name in NAMES:
        member = stream.next()
        assert member == Member(name=name, size=3)
        assert b"".join(stream.content(member)) == b"abc"
    assert stream.next() is None

    with tarfile.open(fileobj=io.BytesIO(archive), errors="surrogateescape") as tar:
        assert [member.name for member in tar] == NAMES


def test_a_file_larger_than_old_headers_can_say_keeps_its_size() -> None:
    size = 9 << 40
    header = next(packed("big", size, [], mtime=0))

    assert TarStream(io.BytesIO(header)).next() == Member(name="big", size=size)


def test_garbage_behind_the_first_member_is_not_taken_for_the_end() -> None:
    """The standard library's reader does so."""
    archive = b"".join(packed("a", 3, [b"abc"], mtime=7)) + b"\xff" * 2048
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r|") as tar:
        assert [member.name for member in tar] == ["a"]

    stream = TarStream(io.BytesIO(archive))
    member = stream.next()
    assert member
    list(stream.content(member))
    with pytest.raises(PackageDamaged, match="after a is damaged"):
        stream.next()
