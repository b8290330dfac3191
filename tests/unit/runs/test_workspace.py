"""The workspace folder: who has something in it, and what may be removed."""

import os
import time
from pathlib import Path

import pytest
from pytest_django import Settings

from backup_tasks import ledger
from backup_tasks.cleanup import remove_all
from backup_tasks.conf import backup_settings
from backup_tasks.models import Run
from backup_tasks.storage import workspace


def started() -> Run:
    run, _ = ledger.start("backup", params={}, trigger="command", step_names=["dump"])
    return run


@pytest.fixture
def folder() -> Path:
    return backup_settings().workspace


def test_a_workspace_is_made_below_folders_that_do_not_exist_yet(
    settings: Settings, tmp_path: Path
) -> None:
    settings.BACKUP = {**settings.BACKUP, "WORKSPACE": str(tmp_path / "a" / "b")}

    assert workspace.make("backup-1") == tmp_path / "a" / "b" / "backup-1"
    workspace.remove("backup-1")
    workspace.remove("backup-1")
    assert not (tmp_path / "a" / "b" / "backup-1").exists()


def test_nothing_of_a_dry_run_stays(folder: Path) -> None:
    with workspace.scratch() as scratch:
        (scratch / "rows").write_text("…")
        assert scratch.parent == folder

    assert not folder.exists()


def test_a_dry_run_leaves_what_runs_have_in_the_folder(folder: Path) -> None:
    with workspace.scratch():
        workspace.make("of-a-run")

    assert [path.name for path in folder.iterdir()] == ["of-a-run"]


@pytest.mark.django_db
def test_what_nobody_uses_is_removed_and_nothing_that_is_not_ours(folder: Path) -> None:
    """The operator may have named a folder that others use, too, such as /tmp."""
    forgotten = started().pk
    Run.objects.all().delete()
    used = started().pk
    workspace.make(forgotten)
    workspace.make(used)
    (folder / "tax-returns-2026").mkdir()
    (folder / "dry-run-killed").mkdir()
    yesterday = time.time() - 25 * 60 * 60
    os.utime(folder / "dry-run-killed", (yesterday, yesterday))

    with workspace.scratch() as at_work:
        removed = remove_all(dry=False).names

        assert removed == [f"workspace:{forgotten}", "workspace:dry-run-killed"]
        assert set(folder.iterdir()) == {at_work, folder / used, folder / "tax-returns-2026"}
