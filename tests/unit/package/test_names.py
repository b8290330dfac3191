from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from backup_tasks.package.names import is_file_name, is_safe, package_name, sidecar_name


def test_a_package_is_named_after_project_time_label_and_id() -> None:
    moment = datetime(2026, 11, 22, 23, 33, 55, tzinfo=timezone(timedelta(hours=1)))

    name = package_name(
        project="edms",
        created_at=moment,
        label="nightly",
        id="1a2b3c4d-5e6f-4000-8000-000000000000",
        compression="zstd",
        encrypted=True,
    )

    assert name == "edms-20261122T223355Z-nightly-1a2b3c4d.tar.zst.age"


def test_whatever_a_label_holds_the_name_is_a_file_name() -> None:
    for label in ("", "../../etc", "Vor dem Umzug!", "a/b", "\0", "…"):
        name = package_name(
            project="..",
            created_at=datetime(2026, 1, 2, tzinfo=UTC),
            label=label,
            id="ABCDEF0123456789",
            compression="none",
            encrypted=False,
        )
        assert is_file_name(name)
        assert name.startswith("project-20260102T000000Z-")
        assert name.endswith("-abcdef01.tar")


@pytest.mark.parametrize(
    ("package", "sidecar"),
    [
        ("x.tar.zst.age", "x.json"),
        ("x.tar.gz", "x.json"),
        ("x.tgz", "x.json"),
        ("x.tar", "x.json"),
        ("x", "x.json"),
        ("x.tar.age", "x.json"),
        ("a.b.tar.gz", "a.b.json"),
        ("x.zip", "x.zip.json"),
    ],
)
def test_the_sidecar_of_a_package_has_its_name_without_suffixes(package: str, sidecar: str) -> None:
    assert sidecar_name(package) == sidecar


def test_paths_that_leave_their_folder_are_not_safe() -> None:
    for path in ("", "/a", "..", "a/../b", "a//b", "a/", ".", "./a", "a\0", "\ud800"):
        assert not is_safe(path), path
    for path in ("a", "a/b.c", "..a", "a\\b", "ü/\udcff", "-rf", "a b"):
        assert is_safe(path), path


def test_a_package_is_neither_hidden_nor_called_like_its_sidecar() -> None:
    for name in (".x.tar", "a/b.tar", "", "..", "x.json"):
        assert not is_file_name(name), name
