"""P1: a truncated or altered package is refused, and nothing of it stays behind."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from backup_tasks.errors import BackupError, DoesNotFit, KeyMissing, PackageDamaged
from backup_tasks.package.cipher import generate_identity
from backup_tasks.package.compression import KINDS, Compression
from backup_tasks.package.reader import check

from .content import Content, ignore, make_content, tree, unpacked

VARIANTS = [(kind, encrypted) for kind in KINDS for encrypted in (False, True)]


def positions(size: int, count: int) -> list[int]:
    """Return places all over a file: its first and last bytes, and many between."""
    spread = range(0, size, max(1, size // count))
    return sorted({*range(min(size, 40)), *spread, *range(max(0, size - 20), size)})


@pytest.fixture
def original(
    tmp_path: Path, key: tuple[str, str], compression: Compression, encrypted: bool
) -> tuple[bytes, dict[str, bytes]]:
    """A package, and what it holds."""
    content = make_content(tmp_path / "handover", files={"a/b.pdf": b"%PDF" * 300, "c": b"c"})
    package = tmp_path / "original"
    content.write(package, compression=compression, recipients=[key[1]] if encrypted else [])
    return package.read_bytes(), unpacked(package, tmp_path / "true", [key[0]])


def refusal(package: Path, into: Path, identity: str) -> BackupError | dict[str, bytes]:
    """Return the error of unpacking, or what came out."""
    try:
        return unpacked(package, into, [identity])
    except BackupError as error:
        assert tree(into) == {}
        return error


@pytest.mark.parametrize(("compression", "encrypted"), VARIANTS)
def test_a_package_cut_anywhere_is_refused_as_damaged(
    original: tuple[bytes, dict[str, bytes]], key: tuple[str, str], tmp_path: Path, encrypted: bool
) -> None:
    data, _ = original
    package = tmp_path / "cut"

    for end in positions(len(data), 60):
        package.write_bytes(data[:end])
        result = refusal(package, tmp_path / "into", key[0])
        assert isinstance(result, PackageDamaged), (end, result)
        assert result.exit_code == 5


@pytest.mark.parametrize(("compression", "encrypted"), VARIANTS)
def test_a_changed_byte_is_refused_or_changes_nothing(
    original: tuple[bytes, dict[str, bytes]], key: tuple[str, str], tmp_path: Path, encrypted: bool
) -> None:
    """Headers of gzip and tar have bytes that mean nothing; all that means something is proven."""
    data, held = original
    package = tmp_path / "changed"
    places = positions(len(data), 250)
    harmless = 0

    for place in places:
        package.write_bytes(data[:place] + bytes([data[place] ^ 0x55]) + data[place + 1 :])
        result = refusal(package, tmp_path / f"into-{place}", key[0])
        if isinstance(result, dict):
            assert result == held, place
            harmless += 1
        else:
            assert isinstance(result, PackageDamaged | KeyMissing | DoesNotFit), (place, result)

    assert harmless == 0 if encrypted else harmless < len(places) / 10


@pytest.mark.parametrize(("compression", "encrypted"), VARIANTS)
@pytest.mark.parametrize("tail", [b"x", bytes(4096), b"\x28\xb5\x2f\xfd", b"\x1f\x8b"])
def test_a_package_with_something_behind_it_is_refused(
    original: tuple[bytes, dict[str, bytes]],
    key: tuple[str, str],
    tmp_path: Path,
    compression: Compression,
    encrypted: bool,
    tail: bytes,
) -> None:
    data, held = original
    package = tmp_path / "longer"
    package.write_bytes(data + tail)

    result = refusal(package, tmp_path / "into", key[0])

    if compression == "none" and not encrypted and not tail.strip(b"\0"):
        assert result == held  # tar programs pad their archives with zeros
    else:
        assert isinstance(result, PackageDamaged)


def test_what_is_no_package_at_all_is_refused(tmp_path: Path) -> None:
    for data in (b"", b"PK\x03\x04", b"hello" * 1000, hashlib.sha256(b"").digest() * 100):
        (tmp_path / "package").write_bytes(data)
        with pytest.raises(PackageDamaged):
            unpacked(tmp_path / "package", tmp_path / "into")


def test_check_refuses_what_unpack_refuses(content: Content, tmp_path: Path) -> None:
    package = tmp_path / "package"
    content.write(package, compression="none")
    data = package.read_bytes()
    package.write_bytes(data.replace(b"%PDF", b"%pdf"))

    with pytest.raises(PackageDamaged) as caught:
        check(package, identities=[], scratch=tmp_path, progress=ignore)

    assert caught.value.obj == "files/default/2026/sop.pdf"


def test_the_wrong_key_opens_nothing(
    content: Content, key: tuple[str, str], tmp_path: Path
) -> None:
    package = tmp_path / "package"
    content.write(package, recipients=[key[1]])

    for identities in ([], [generate_identity()[0]]):
        with pytest.raises(KeyMissing) as caught:
            unpacked(package, tmp_path / "into", identities)
        assert caught.value.exit_code == 6
        assert tree(tmp_path / "into") == {}
