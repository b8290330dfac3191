"""Merging a package into a database that has rows of its own."""

from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.contents import contents, files
from tests.services import EVERY_ENGINE, Project

pytestmark = pytest.mark.parametrize("engine", EVERY_ENGINE)


def merging(package: Path | str, *more: str) -> tuple[str | Path, ...]:
    return ("restore_from_package", package, "--mode", "merge", "--confirm", *more)


def plan_of(answer: dict[str, Any]) -> dict[str, Any]:
    assert answer["ok"], "\n".join(error["what"] for error in answer["errors"])
    plan: dict[str, Any] = answer["merge"]
    return plan


def test_after_a_reset_a_merge_brings_all_back(demo_project: Project, tmp_path: Path) -> None:
    """Users 10 → 2 → 10: the seeded admin is matched, not doubled."""
    project, package = demo_project, tmp_path / "x.tar.zst"
    project.succeed("create_backup", "--output", package)
    before = contents(project)
    project.succeed("system_reinit", "--confirm", "--no-safety-backup")
    assert contents(project).count("users_user") == 2

    refused = project.json(*merging(package))
    assert refused["errors"][0]["exit_code"] == 8
    assert "admin" in refused["errors"][0]["what"]
    assert "uuid" in refused["errors"][0]["what"]
    answer = project.json(*merging(package, "--on-conflict", "package", "--no-safety-backup"))

    plan = plan_of(answer)
    assert plan["models"]["users.user"] | {"conflicts": []} == {
        "insert": 8,
        "update": 2,
        "unchanged": 0,
        "kept": 0,
        "renumbered": 0,
        "only_in_target": 0,
        "conflicts": [],
    }
    assert set(plan["digests_equal"].values()) == {True}
    after = contents(project)
    assert {name: len(rows) for name, rows in after.tables.items()} == {
        name: len(rows) for name, rows in before.tables.items()
    }
    assert after.files == before.files == files(project)
