"""Invariant 9: peak memory does not depend on how much data there is (P8)."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import hashlib, io, json, resource, sys
from dataclasses import replace
from pathlib import Path

from backup_tasks.package.cipher import generate_identity
from backup_tasks.package.index import FileEntry, write_index
from backup_tasks.package.reader import check, unpack
from tests.unit.package.content import Content, ignore, manifest_of

folder, files, size, encrypted = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
identity, recipient = generate_identity()
BLOCK = hashlib.sha512(b"block").digest() * 1024


class Repeating(io.RawIOBase):
    def __init__(self):
        self.left = size

    def read(self, wanted=-1):
        part = BLOCK[: min(wanted, self.left, len(BLOCK))]
        self.left -= len(part)
        return part


digest, reader = hashlib.sha256(), Repeating()
while part := reader.read(1 << 20):
    digest.update(part)
index = write_index(
    (
        FileEntry(storage="default", name=f"{n}", size=size, sha256=digest.hexdigest())
        for n in range(files)
    ),
    folder / "index",
)
content = Content(
    manifest=replace(manifest_of([]), files=index),
    rows=folder,
    index=folder / "index",
    open_file=lambda storage, name: Repeating(),
)
content.write(folder / "package", recipients=[recipient] if encrypted == "encrypted" else [])
check(folder / "package", identities=[identity], scratch=folder, progress=ignore)
unpack(folder / "package", folder / "into", identities=[identity], progress=ignore)
print(json.dumps(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss))
"""


def peak(folder: Path, files: int, size: int, variant: str) -> int:
    """Pack, check and unpack in a process of its own; return its peak memory in KiB."""
    folder.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(folder), str(files), str(size), variant],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return int(json.loads(done.stdout))


@pytest.mark.parametrize("variant", ["plain", "encrypted"])
def test_a_file_of_200_mb_takes_no_more_memory_than_one_of_10(tmp_path: Path, variant: str) -> None:
    small = peak(tmp_path / "small", 1, 10 << 20, variant)
    large = peak(tmp_path / "large", 1, 200 << 20, variant)

    assert large < small + (16 << 10)


def test_5000_files_take_no_more_memory_than_100(tmp_path: Path) -> None:
    few = peak(tmp_path / "few", 100, 10, "plain")
    many = peak(tmp_path / "many", 5_000, 10, "plain")

    assert many < few + (8 << 10)
