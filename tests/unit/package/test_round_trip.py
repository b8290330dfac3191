from __future__ import annotations

import os
from pathlib import Path

import pytest

from backup_tasks.errors import Misconfigured, PackageNotFound
from backup_tasks.package.compression import KINDS, Compression
from backup_tasks.package.reader import check, is_encrypted, read_manifest, unpack

from .content import FILES, ROWS, Content, ignore, make_content, tree, unpacked


@pytest.mark.parametrize("encrypted", [False, True])
@pytest.mark.parametrize("compression", KINDS)
def test_what_was_packed_comes_out_again(
    content: Content,
    key: tuple[str, str],
    tmp_path: Path,
    compression: Compression,
    encrypted: bool,
) -> None:
    identity, recipient = key
    package = tmp_path / "package"
    done: list[int] = []

    written = content.write(
        package,
        compression=compression,
        recipients=[recipient] if encrypted else [],
        progress=done.append,
    )
    found = unpacked(package, tmp_path / "into", [identity])

    assert found.pop("manifest.json") == content.manifest.to_json()
    assert content.index is not None
    assert found.pop("files.jsonl") == content.index.read_bytes()
    assert found == {
        **{f"files/default/{name}": data for name, data in FILES.items()},
        **{f"database/00{n}-{label}.jsonl": ROWS[label] for n, label in enumerate(ROWS, start=1)},
    }
    assert written.size == package.stat().st_size
    assert sum(done) == content.manifest.totals.content_size
    assert is_encrypted(package) is encrypted
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("encrypted", [False, True])
def test_check_and_read_manifest_agree_with_unpack_and_leave_nothing(
    content: Content, key: tuple[str, str], tmp_path: Path, encrypted: bool
) -> None:
    package = tmp_path / "package"
    content.write(package, recipients=[key[1]] if encrypted else [])
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    done: list[int] = []

    checked = check(package, identities=[key[0]], scratch=scratch, progress=done.append)
    read = read_manifest(package, identities=[key[0]], scratch=scratch)

    assert checked == read == content.manifest
    assert sum(done) == content.manifest.totals.content_size
    assert tree(scratch) == {}


def test_a_package_without_rows_or_files_is_a_package(tmp_path: Path) -> None:
    content = make_content(tmp_path / "handover", rows={}, files={})
    content.write(tmp_path / "package")

    assert set(unpacked(tmp_path / "package", tmp_path / "into")) == {
        "manifest.json",
        "files.jsonl",
    }


def test_the_same_content_makes_the_same_package(content: Content, tmp_path: Path) -> None:
    assert content.write(tmp_path / "one") == content.write(tmp_path / "two")


def test_nobody_else_may_read_a_package_or_what_it_held(content: Content, tmp_path: Path) -> None:
    content.write(tmp_path / "package")
    into = tmp_path / "into"
    unpack(tmp_path / "package", into, identities=[], progress=ignore)

    assert (tmp_path / "package").stat().st_mode & 0o077 == 0
    assert into.stat().st_mode & 0o077 == 0
    assert all(path.stat().st_mode & 0o077 == 0 for path in into.rglob("*") if path.is_file())


def test_a_folder_that_holds_something_is_not_unpacked_into(
    content: Content, tmp_path: Path
) -> None:
    content.write(tmp_path / "package")
    into = tmp_path / "into"
    into.mkdir()
    (into / "precious").write_text("mine")

    with pytest.raises(Misconfigured):
        unpacked(tmp_path / "package", into)

    assert tree(into) == {"precious": b"mine"}


def test_a_package_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(PackageNotFound) as caught:
        unpacked(tmp_path / "nothing", tmp_path / "into")

    assert caught.value.obj == os.fspath(tmp_path / "nothing")
