"""A package costs no more memory and time than what it holds is worth, whoever wrote it."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tarfile
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import zstandard

from backup_tasks.errors import PackageDamaged
from backup_tasks.package.manifest import MANIFEST_LIMIT, Manifest, _sha256, largest_in
from backup_tasks.package.reader import check, read_manifest
from backup_tasks.package.tar import TarStream

from .content import ignore, manifest_of
from .test_hostile import info

MB = 1 << 20


@contextmanager
def memory() -> Iterator[list[int]]:
    """Give a list that has the peak of what was allocated inside."""
    peak: list[int] = []
    tracemalloc.start()
    try:
        yield peak
    finally:
        peak.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()


def packed(manifest: bytes, target: Path) -> Path:
    """A package whose manifest is this."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.PAX_FORMAT) as tar:
        tar.addfile(info("manifest.json", len(manifest)), io.BytesIO(manifest))
    target.write_bytes(zstandard.compress(archive.getvalue()))
    return target


def manifest_with(**values: Any) -> bytes:
    """A manifest that is sound, but for these values."""
    whole = json.loads(manifest_of([]).to_json()) | values
    del whole["sha256"]
    return json.dumps({**whole, "sha256": _sha256(whole)}).encode()


def test_a_small_package_has_no_large_manifest(tmp_path: Path) -> None:
    """6 KB that unfolded to a manifest of 62 MB took 1.8 GB."""
    package = packed(manifest_with() + b" " * (12 * MB), tmp_path / "package")
    assert package.stat().st_size < 6_000

    with memory() as peak, pytest.raises(PackageDamaged, match="in a package of"):
        read_manifest(package, identities=[], scratch=tmp_path)

    assert peak[0] < 40 * MB  # 1 KiB of zstd may unfold to 32 MiB, and is read as one


def test_a_manifest_of_too_many_values_is_refused_before_it_is_parsed() -> None:
    content = manifest_with(excluded=[{}] * 400_000)

    with memory() as peak, pytest.raises(PackageDamaged, match="values, more than"):
        Manifest.from_json(content)

    assert peak[0] < MB


def test_a_manifest_larger_than_any_is_refused_and_not_written() -> None:
    content = manifest_with() + b" " * MANIFEST_LIMIT

    with pytest.raises(PackageDamaged, match="bytes"):
        Manifest.from_json(content)


def test_how_large_a_manifest_may_be_grows_with_its_package() -> None:
    assert largest_in(6_000) == MB + 600_000
    assert largest_in(10**12) == MANIFEST_LIMIT


WORST: dict[str, dict[str, Any]] = {
    "versions": {"versions": {f"{number:x}": "" for number in range(140_000)}},
    "excluded": {"excluded": [{"label": f"{n:x}", "reason": ""} for n in range(95_000)]},
    "warnings": {"warnings": [f"{number:x}" for number in range(290_000)]},
}


@pytest.mark.parametrize("kind", WORST)
def test_the_largest_manifest_that_is_read_takes_less_than_200_mb(
    tmp_path: Path, kind: str
) -> None:
    """Peak memory of a process that reads it, which no smaller one exceeds."""
    content = manifest_with(**WORST[kind])
    (tmp_path / "manifest").write_bytes(content + b" " * (MANIFEST_LIMIT - len(content)))
    program = """
import re, sys
from pathlib import Path
from backup_tasks.package.manifest import Manifest
Manifest.from_json(Path(sys.argv[1]).read_bytes())
print(re.search("VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
"""  # not ru_maxrss, which is also that of the process this one was forked from

    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "manifest")],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 200 << 10


def extended(records: int) -> bytes:
    """A tar header with so many extended records."""
    data = b"12 comment=\n" * records
    head = info("x", len(data), tarfile.XHDTYPE).tobuf(tarfile.USTAR_FORMAT)
    return head + data + bytes(-len(data) % 512) + info("a").tobuf(tarfile.USTAR_FORMAT)


def seconds(records: int) -> float:
    """The least time that it took of three."""
    taken = []
    for _ in range(3):
        stream = TarStream(io.BytesIO(extended(records)))
        start = time.process_time()
        stream.next()
        taken.append(time.process_time() - start)
    return min(taken)


def test_an_extended_header_takes_time_in_proportion_to_its_length() -> None:
    """Eight times the records took more than sixty times the time."""
    assert seconds(80_000) < 24 * seconds(10_000)


def test_what_is_no_package_is_named(tmp_path: Path) -> None:
    package = tmp_path / "letter.txt"
    package.write_bytes(b"Dear reader, " * 100)

    with pytest.raises(PackageDamaged) as caught:
        check(package, identities=[], scratch=tmp_path, progress=ignore)

    assert str(caught.value).startswith("letter.txt: this is not a package")
