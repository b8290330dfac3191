from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import pytest

from backup_tasks.errors import (
    HandoverChanged,
    KeyMissing,
    PackageDamaged,
    SourceChanged,
    StorageRefused,
)

from .content import FILES, Content

PDF = "2026/sop.pdf"


def opening(name: str, data: bytes) -> Callable[[str, str], BinaryIO]:
    """Return an `open_file` where one file is not what was hashed."""
    return lambda storage, wanted: io.BytesIO(data if wanted == name else FILES[wanted])


def raising(error: Exception) -> Callable[[str, str], BinaryIO]:
    def open_file(storage: str, name: str) -> BinaryIO:
        raise error

    return open_file


@pytest.fixture(params=[False, True], ids=["plain", "encrypted"])
def recipients(request: pytest.FixtureRequest, key: tuple[str, str]) -> Sequence[str]:
    """pyrage swallows what its callbacks raise: every error must come through both ways."""
    return [key[1]] if request.param else []


@pytest.mark.parametrize(
    "data",
    [FILES[PDF] + b"!", FILES[PDF][:-1], b"", b"?" + FILES[PDF][1:]],
    ids=["longer", "shorter", "empty", "other"],
)
def test_a_file_that_changed_since_it_was_hashed_can_be_tried_again(
    content: Content, tmp_path: Path, recipients: Sequence[str], data: bytes
) -> None:
    changed = replace(content, open_file=opening(PDF, data))

    with pytest.raises(SourceChanged) as caught:
        changed.write(tmp_path / "package", recipients=recipients)

    assert caught.value.obj == f"default:{PDF}"
    assert [path.name for path in tmp_path.iterdir()] == ["handover"]


def test_a_file_that_was_deleted_since_it_was_hashed_can_be_tried_again(
    content: Content, tmp_path: Path, recipients: Sequence[str]
) -> None:
    """P13."""
    gone = replace(content, open_file=raising(FileNotFoundError("gone")))

    with pytest.raises(SourceChanged, match="deleted"):
        gone.write(tmp_path / "package", recipients=recipients)

    assert [path.name for path in tmp_path.iterdir()] == ["handover"]


def test_a_storage_that_fails_is_named_with_the_file(
    content: Content, tmp_path: Path, recipients: Sequence[str]
) -> None:
    broken = replace(content, open_file=raising(PermissionError(13, "Permission denied")))

    with pytest.raises(StorageRefused, match="Permission denied") as caught:
        broken.write(tmp_path / "package", recipients=recipients)

    assert caught.value.obj.startswith("default:")


@pytest.mark.parametrize("change", [b"", b"{}\n", b"X" * 400])
def test_rows_that_are_not_what_the_manifest_says_are_not_packed(
    content: Content, tmp_path: Path, recipients: Sequence[str], change: bytes
) -> None:
    member = content.manifest.models[1].member
    assert member
    (content.rows / member).write_bytes(change)

    with pytest.raises(HandoverChanged) as caught:
        content.write(tmp_path / "package", recipients=recipients)

    assert caught.value.obj == "documents.document"


def test_missing_rows_are_not_packed(content: Content, tmp_path: Path) -> None:
    member = content.manifest.models[0].member
    assert member
    (content.rows / member).unlink()

    with pytest.raises(HandoverChanged, match="missing") as caught:
        content.write(tmp_path / "package")

    assert caught.value.obj == "users.user"


def test_a_manifest_that_counts_other_rows_than_there_are_is_not_packed(
    content: Content, tmp_path: Path
) -> None:
    first, *rest = content.manifest.models
    lying = replace(content.manifest, models=(replace(first, count=4), *rest))

    with pytest.raises(HandoverChanged, match="says 4 rows, the handover holds 3"):
        replace(content, manifest=lying).write(tmp_path / "package")


def test_a_list_of_files_that_changed_is_not_packed(content: Content, tmp_path: Path) -> None:
    assert content.index
    content.index.write_bytes(content.index.read_bytes().replace(b"sop", b"SOP"))

    with pytest.raises(HandoverChanged) as caught:
        content.write(tmp_path / "package")

    assert caught.value.obj == "files.jsonl"


def test_manifest_and_list_of_files_belong_together(content: Content, tmp_path: Path) -> None:
    with pytest.raises(HandoverChanged):
        replace(content, index=None).write(tmp_path / "package")


def test_a_manifest_that_could_not_be_read_again_is_not_packed(
    content: Content, tmp_path: Path
) -> None:
    local_time = replace(content.manifest, created_at="2026-11-22T22:33:55+01:00")

    with pytest.raises(PackageDamaged, match="created_at"):
        replace(content, manifest=local_time).write(tmp_path / "package")


def test_an_error_leaves_the_package_that_was_there(content: Content, tmp_path: Path) -> None:
    """P1: what exists is replaced by something complete, or not at all."""
    target = tmp_path / "package"
    content.write(target)
    before = target.read_bytes()

    with pytest.raises(SourceChanged):
        replace(content, open_file=opening(PDF, b"")).write(target)

    assert target.read_bytes() == before


def test_a_recipient_that_is_no_key_stops_before_anything_is_written(
    content: Content, tmp_path: Path
) -> None:
    """P6: encryption fails closed."""
    with pytest.raises(KeyMissing) as caught:
        content.write(tmp_path / "package", recipients=["age1nonsense"])

    assert caught.value.exit_code == 6
    assert [path.name for path in tmp_path.iterdir()] == ["handover"]


def test_a_folder_that_can_not_be_written_is_named(content: Content, tmp_path: Path) -> None:
    with pytest.raises(StorageRefused) as caught:
        content.write(tmp_path / "no" / "such" / "package")

    assert "no/such/package" in caught.value.obj


def test_an_interruption_comes_through_the_encryption(
    content: Content, tmp_path: Path, recipients: Sequence[str]
) -> None:
    def interrupt(size: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        content.write(tmp_path / "package", recipients=recipients, progress=interrupt)

    assert [path.name for path in tmp_path.iterdir()] == ["handover"]
