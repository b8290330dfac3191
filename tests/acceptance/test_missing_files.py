"""A backup without its files is no success; a worker that looks at another folder does nothing."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.contents import contents, files
from tests.services import MakeProject, Project


@pytest.fixture
def demo(make_project: MakeProject) -> Project:
    return make_project("sqlite", demo=True)


def elsewhere(project: Project, **variables: Path) -> Project:
    """The same project as another worker has it, whose folders are others."""
    return replace(project, variables={name: str(path) for name, path in variables.items()})


def sidecars(project: Project) -> list[dict[str, Any]]:
    """In the order in which they were made: names differ by the second."""
    found = [json.loads(path.read_text()) for path in project.store.glob("*.json")]
    return sorted(found, key=lambda sidecar: str(sidecar["created_at"]))


def lose(project: Project, number: int) -> None:
    for name in sorted(files(project))[:number]:
        (project.media / name).unlink()


def test_a_first_backup_without_the_volume_fails_and_keeps_the_rows(
    demo: Project, tmp_path: Path
) -> None:
    there = len(files(demo))
    unmounted = elsewhere(demo, MEDIA_ROOT=tmp_path / "unmounted")

    told = unmounted.json("create_backup")

    assert (told["ok"], told["state"]) == (False, "failed")
    error = told["errors"][0]
    assert (error["kind"], error["exit_code"]) == ("FilesMissing", 1)
    assert f"storage default: {there} of {there} files that rows refer to" in error["what"]
    assert "MEDIA_ROOT" in error["hint"]
    assert "--accept-missing-files" in error["hint"]
    (sidecar,) = sidecars(demo)
    assert sidecar["incomplete"] == error["what"]
    assert sidecar["name"] == told["package"]
    assert sidecar["totals"]["files"] == 0
    assert sidecar["totals"]["rows"] > 0
    demo.succeed("verify_package", told["package"])
    # It was not taken for the storage of the project, so the real one is no stranger now.
    assert not list((tmp_path / "unmounted").rglob("*"))
    demo.succeed("create_backup")


def test_what_somebody_accepts_is_recorded_and_no_failure_any_more(demo: Project) -> None:
    there = len(files(demo))
    lost = there // 2 + 1
    lose(demo, lost)
    assert demo.manage("create_backup").returncode == 1

    told = demo.json("create_backup", "--accept-missing-files")

    assert told["ok"]
    assert any(
        line.startswith(f"accepted: storage default: {lost} of {there}")
        for line in told["warnings"]
    )
    assert "incomplete" not in sidecars(demo)[-1]
    assert demo.json("create_backup")["ok"]  # the next one has lost nothing more
    lose(demo, there - lost)
    error = demo.json("create_backup")["errors"][0]
    assert error["kind"] == "FilesMissing"
    assert f"{there - lost} more than in the last package" in error["what"]


def test_a_few_missing_files_are_warnings_as_before(demo: Project) -> None:
    demo.succeed("create_backup")
    lose(demo, 1)

    told = demo.json("create_backup")

    assert told["ok"]
    assert any("1 files were missing" in line for line in told["warnings"])


def test_files_that_rows_refer_to_are_missed_in_a_package_of_files_too(demo: Project) -> None:
    lose(demo, len(files(demo)))

    told = demo.json("create_backup", "--type", "files")

    assert told["errors"][0]["kind"] == "FilesMissing"


@pytest.mark.parametrize(
    "command", [("create_backup",), ("drill_restore",), ("system_reinit", "--confirm")]
)
def test_a_worker_that_looks_at_another_folder_does_nothing_and_names_the_setting(
    demo: Project, tmp_path: Path, command: tuple[str, ...]
) -> None:
    demo.succeed("create_backup")
    before = contents(demo)
    empty = tmp_path / "empty"
    empty.mkdir()

    told = elsewhere(demo, MEDIA_ROOT=empty).json(*command)

    error = told["errors"][0]
    assert error["kind"] == "Misconfigured"
    assert "MEDIA_ROOT" in error["hint"]
    assert "adopt_storage default" in error["hint"]
    assert str(empty) in error["object"]
    assert list(empty.iterdir()) == []
    assert len(sidecars(demo)) == 1
    assert contents(demo) == before


def test_after_a_disaster_another_folder_is_adopted_explicitly(
    demo: Project, tmp_path: Path
) -> None:
    package = demo.json("create_backup")["package"]
    before = contents(demo)
    new = elsewhere(demo, MEDIA_ROOT=tmp_path / "new")

    assert new.manage("restore_from_package", package, "--confirm").returncode == 2
    assert not (tmp_path / "new").exists()
    assert new.json("adopt_storage", "default")["name"] == "storage default"
    new.succeed("restore_from_package", package, "--confirm")

    for name, content in before.files.items():
        assert (tmp_path / "new" / name).read_bytes() == content
    assert demo.manage("create_backup").returncode == 2  # the old one is the stranger now


def test_a_workspace_that_is_not_shared_is_told_with_both_hosts(
    demo: Project, tmp_path: Path
) -> None:
    demo.succeed("create_backup")

    told = elsewhere(demo, BACKUP_WORKSPACE=tmp_path / "mine").json("create_backup")

    error = told["errors"][0]
    assert error["kind"] == "HandoverChanged"
    assert "BACKUP['WORKSPACE']" in error["hint"]
    assert "adopt_storage --workspace" in error["hint"]


def test_the_marks_are_in_no_package(demo: Project) -> None:
    demo.succeed("create_backup")
    demo.succeed("create_backup", "--compress", "none")

    assert (demo.media / ".backup_tasks" / "id").is_file()
    assert not any(b".backup_tasks/id" in path.read_bytes() for path in demo.store.glob("*.tar"))


def test_restoring_a_package_that_lacks_files_takes_none_from_live(
    demo: Project, tmp_path: Path
) -> None:
    before = contents(demo)
    told = elsewhere(demo, MEDIA_ROOT=tmp_path / "unmounted").json("create_backup")

    demo.succeed("restore_from_package", told["package"], "--confirm")

    assert contents(demo) == before


def test_a_backup_that_is_gone_with_the_next_build_says_so(demo: Project, tmp_path: Path) -> None:
    installed = tmp_path / "lib" / "site-packages" / "backups"

    told = elsewhere(demo, BACKUP_STORE=installed).json("create_backup")

    assert told["ok"]
    assert any(str(installed) in line for line in told["warnings"])
