from __future__ import annotations

import random
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pytest

from backup_tasks.errors import DumpFailed, PackageDamaged
from backup_tasks.package.index import FileEntry, read_index, write_index

SHA = "a" * 64


def entry(name: str, storage: str = "default", size: int = 1) -> FileEntry:
    return FileEntry(storage=storage, name=name, size=size, sha256=SHA)


def test_the_index_is_the_same_in_whatever_order_the_files_come(tmp_path: Path) -> None:
    names = ["b", "a/b", "a-b", "a/a", "ü", "\udcff", "a.txt", "A"]
    entries = [entry(name) for name in names] + [entry("b", storage="avatars")]
    first = write_index(entries, tmp_path / "first")
    random.Random(1).shuffle(entries)

    assert write_index(entries, tmp_path / "second") == first
    assert (tmp_path / "first").read_bytes() == (tmp_path / "second").read_bytes()
    with (tmp_path / "first").open("rb") as file:
        found = list(read_index(file, first))
    assert {(item.storage, item.name) for item in found} == {
        (item.storage, item.name) for item in entries
    }
    assert first.count == first.total_size == len(entries)


@pytest.mark.parametrize(
    "names",
    [
        ["a", "a"],
        ["a", "a/b"],
        ["a", "a-b", "a/b/c"],
        ["../a"],
        ["/a"],
        ["a//b"],
        ["a/"],
        [""],
        ["a/./b"],
        ["."],
        ["a\0b"],
        ["\ud800"],
    ],
)
def test_files_that_can_not_lie_beside_each_other_are_refused_when_packing(
    tmp_path: Path, names: list[str]
) -> None:
    with pytest.raises(DumpFailed) as caught:
        write_index([entry(name) for name in names], tmp_path / "index")

    assert caught.value.obj.startswith("default:")
    assert list(tmp_path.iterdir()) == []


def test_a_storage_alias_that_is_a_path_is_refused(tmp_path: Path) -> None:
    for alias in ("../up", "a/b", "..", ""):
        with pytest.raises(DumpFailed):
            write_index([entry("a", storage=alias)], tmp_path / "index")


LINE = b'{"storage":"default","name":"%s","size":1,"sha256":"' + SHA.encode() + b'"}\n'


@pytest.mark.parametrize(
    ("content", "place"),
    [
        (LINE % b"a" + LINE % b"a", "line 2"),
        (LINE % b"b" + LINE % b"a", "line 2"),
        (LINE % b"a" + LINE % b"a/b", "line 2"),
        (LINE % b"../a", "line 1"),
        (LINE % b"/etc/passwd", "line 1"),
        (LINE % b"a" + b"{}\n", "line 2"),
        (LINE % b"a" + b"[1]\n", "line 2"),
        (LINE % b"a" + b"\n", "line 2"),
        (LINE % (b"a" * 100_000), "line 1"),
        (LINE % b"a", "2 files"),
        (LINE % b"a" + LINE % b"b" + LINE % b"c", "2 files"),
    ],
)
def test_a_list_that_is_wrong_is_refused_and_the_line_named(
    tmp_path: Path, content: bytes, place: str
) -> None:
    announced = write_index([entry("a"), entry("b")], tmp_path / "index")
    (tmp_path / "index").write_bytes(content)

    with (tmp_path / "index").open("rb") as file, pytest.raises(PackageDamaged, match=place):
        list(read_index(file, announced))


def test_a_list_whose_sizes_do_not_add_up_is_refused(tmp_path: Path) -> None:
    announced = write_index([entry("a")], tmp_path / "index")

    with (tmp_path / "index").open("rb") as file, pytest.raises(PackageDamaged, match="bytes"):
        list(read_index(file, replace(announced, total_size=2)))


def test_mode_and_owner_are_carried_and_may_be_left_out(tmp_path: Path) -> None:
    entries = [replace(entry("a"), mode="0640", owner="33:1000"), entry("b")]
    announced = write_index(entries, tmp_path / "index")

    with (tmp_path / "index").open("rb") as file:
        assert list(read_index(file, announced)) == entries
    written = (tmp_path / "index").read_bytes()
    assert (written.count(b"mode"), written.count(b"owner")) == (1, 1)


@pytest.mark.parametrize("mode", [b'""', b'"640"', b'"4755"', b'"0o640"', b"416"])
def test_what_is_no_mode_is_refused(tmp_path: Path, mode: bytes) -> None:
    announced = write_index([entry("a")], tmp_path / "index")
    line = (LINE % b"a")[:-2] + b',"mode":' + mode + b"}\n"

    with pytest.raises(PackageDamaged, match="mode"):
        list(read_index(BytesIO(line), announced))


@pytest.mark.parametrize(
    "owner",
    [
        b'""',
        b'"33"',
        b'"www-data:www-data"',
        b'"-1:-1"',
        b'"4294967295:0"',
        b'"1:99999999999"',
        b"33",
    ],
)
def test_what_is_no_owner_is_refused(tmp_path: Path, owner: bytes) -> None:
    announced = write_index([entry("a")], tmp_path / "index")
    line = (LINE % b"a")[:-2] + b',"mode":"0640","owner":' + owner + b"}\n"

    with pytest.raises(PackageDamaged, match="owner"):
        list(read_index(BytesIO(line), announced))
