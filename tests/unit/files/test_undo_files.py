"""UNDO_FILES: what a restore replaced lies outside the storage; undo finds it there, or says so."""

import os
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone
from pytest_django import Settings

from backup_tasks.backup import storage_ids
from backup_tasks.errors import Misconfigured
from backup_tasks.models import Run, StorageId, UndoPoint
from backup_tasks.storage.file_storages import project_trees
from edms.local.instance import ROOT
from tests.acceptance.contents import files
from tests.services import Project
from tests.unit.runs.test_commands import run_command

SHARED_MEMORY = Path("/dev/shm")

KILLED = """
import os, signal, sys
import django
django.setup()
from django.core.management import call_command
from backup_tasks.restore.run_folder import RunFolder

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

setattr(RunFolder, sys.argv[2], die)
call_command("restore_from_package", sys.argv[1], "--confirm", "--no-safety-backup")
"""


def keep_in(settings: Settings, folder: object) -> None:
    settings.BACKUP = {**settings.BACKUP, "UNDO_FILES": {"default": folder} if folder else {}}


@pytest.fixture
def apart(on_demo_project: Project, settings: Settings) -> Path:
    """The folder that UNDO_FILES names; it is not there yet."""
    folder = on_demo_project.folder / "undo-files"
    keep_in(settings, str(folder))
    return folder


def do(*command: str) -> None:
    code, out, err = run_command(*command)
    assert code == 0, f"{command}: {out}{err}"


def refused(*command: str) -> str:
    code, out, err = run_command(*command)
    assert code == 2, f"{command}: {out}{err}"
    return err


def back_up() -> str:
    do("create_backup")
    run = Run.objects.order_by("-created_at").first()
    assert run is not None
    return run.package


def restore(package: str) -> str:
    do("restore_from_package", package, "--confirm", "--no-safety-backup")
    return UndoPoint.objects.order_by("-created_at")[0].run_id


def work_on(project: Project) -> None:
    """A file of the package changes, and another is new."""
    (project.media / min(files(project))).write_bytes(b"changed since")
    (project.media / "new.txt").write_text("written since")


def in_the_storage(project: Project) -> list[str]:
    return [path.name for path in (project.media / ".backup_tasks").iterdir()]


def run_folders(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.is_dir()]


def test_restore_undo_and_prune_leave_nothing_of_it_in_the_storage(
    on_demo_project: Project, apart: Path
) -> None:
    project, package = on_demo_project, back_up()
    packed = files(project)
    work_on(project)
    worked_on = files(project)

    run = restore(package)
    assert files(project) == packed
    assert (apart / run / "kept/new.txt").read_text() == "written since"
    for private in (apart, project.media / ".backup_tasks"):
        assert private.stat().st_mode & 0o777 == 0o700
    assert in_the_storage(project) == ["id"]
    do("undo_restore", "--confirm")
    assert files(project) == worked_on
    UndoPoint.objects.update(expires_at=timezone.now() - timedelta(days=1))
    do("prune_packages")

    assert [path.name for path in apart.iterdir()] == ["id"]
    assert in_the_storage(project) == ["id"]


@pytest.mark.parametrize("moment", ["move_to_live", "move_from_live"])
def test_a_promote_that_was_killed_is_taken_up(
    on_demo_project: Project, apart: Path, moment: str
) -> None:
    """Before its rows change, and after."""
    project, package = on_demo_project, back_up()
    packed = files(project)
    (project.media / min(packed)).unlink()
    (project.media / "new.txt").write_text("written since")

    killed = subprocess.run(
        [sys.executable, "-c", KILLED, package, moment],
        cwd=ROOT,
        env={**project.env, "BACKUP_UNDO_FILES": str(apart)},
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    run = Run.objects.get(kind="restore")
    assert run_folders(apart)[0].startswith(f"{run.pk}.")  # held by the dead
    do("resume_run", run.pk)

    assert files(project) == packed
    assert run_folders(apart) == [run.pk]
    assert in_the_storage(project) == ["id"]


def test_a_folder_on_another_file_system_is_refused_before_any_work(
    on_demo_project: Project, settings: Settings
) -> None:
    if not SHARED_MEMORY.is_dir() or (
        SHARED_MEMORY.stat().st_dev == on_demo_project.media.stat().st_dev
    ):
        pytest.skip("needs a second file system: /dev/shm")
    package = back_up()
    before = files(on_demo_project)
    folder = SHARED_MEMORY / f"undo-files-{os.getpid()}"
    folder.mkdir()
    try:
        keep_in(settings, folder)
        told = [
            refused(*command)
            for command in (
                ("restore_from_package", package, "--confirm"),
                ("restore_from_package", package, "--mode", "merge", "--confirm"),
                ("system_reinit", "--confirm"),
                ("undo_restore", "--confirm"),
                ("prune_packages",),
            )
        ]
        left = list(folder.iterdir())
    finally:
        folder.rmdir()

    assert all("UNDO_FILES" in text and "another file system" in text for text in told)
    assert left == []
    assert files(on_demo_project) == before
    assert in_the_storage(on_demo_project) == ["id"]


def test_while_undo_needs_files_of_the_folder_another_one_is_refused(
    on_demo_project: Project, apart: Path, settings: Settings
) -> None:
    package = back_up()
    work_on(on_demo_project)
    worked_on = files(on_demo_project)
    restore(package)
    other = apart.with_name("other")

    for changed in (other, None):
        keep_in(settings, changed)
        for command in ("undo_restore", "restore_from_package"):
            arguments = [package] if command == "restore_from_package" else []
            told = refused(command, *arguments, "--confirm")
            assert "UNDO_FILES" in told
            assert "adopt_storage default" in told
        assert not other.exists()

    apart.rename(other)  # moved along, its id too
    keep_in(settings, other)
    do("undo_restore", "--confirm")
    assert files(on_demo_project) == worked_on


def test_while_undo_needs_files_in_the_storage_a_folder_is_refused(
    on_demo_project: Project, settings: Settings
) -> None:
    package = back_up()
    work_on(on_demo_project)
    worked_on = files(on_demo_project)
    run = restore(package)
    folder = on_demo_project.folder / "undo-files"

    keep_in(settings, folder)
    told = refused("undo_restore", "--confirm")
    assert run in told
    assert not folder.exists()

    keep_in(settings, None)
    do("undo_restore", "--confirm")
    assert files(on_demo_project) == worked_on


def test_an_adopted_folder_gives_up_what_can_be_undone(
    on_demo_project: Project, apart: Path, settings: Settings
) -> None:
    """Its disk is lost, say. An undo that brought back the rows only would be none."""
    package = back_up()
    run = restore(package)
    keep_in(settings, apart.with_name("other"))

    code, out, _ = run_command("adopt_storage", "default")
    assert code == 0
    assert run in out
    assert run_command("undo_restore", "--confirm")[0] != 0
    restore(package)
    keep_in(settings, None)
    do("adopt_storage", "default")
    do("create_backup")

    assert not StorageId.objects.filter(name__contains="undo files").exists()


@pytest.mark.parametrize("has_id", [False, True])
def test_a_folder_with_something_else_in_it_is_refused(
    on_demo_project: Project, apart: Path, has_id: bool
) -> None:
    """Prune would take it for the folders of runs that nobody remembers."""
    (apart / "of-another-project").mkdir(parents=True)
    if has_id:
        (apart / "id").write_text("0" * 32)

    told = refused("create_backup")

    assert ("another storage or project" if has_id else "is not empty") in told
    assert (apart / "of-another-project").is_dir()


@pytest.mark.parametrize("where", ["media", "media/undo", "store/x", "workspace/x", "static/x", ""])
def test_a_folder_that_is_used_or_served_is_refused(
    on_demo_project: Project, settings: Settings, where: str
) -> None:
    settings.STATIC_ROOT = str(on_demo_project.folder / "static")
    places: dict[str, Any] = {"store": on_demo_project.store, "media": on_demo_project.media}
    top, _, rest = where.partition("/")
    keep_in(settings, places.get(top, on_demo_project.folder / top) / rest)

    with pytest.raises(Misconfigured, match="UNDO_FILES"):
        project_trees()


def test_a_relative_folder_is_refused(on_demo_project: Project, settings: Settings) -> None:
    keep_in(settings, "undo-files")

    with pytest.raises(Misconfigured, match="no absolute path"):
        storage_ids.recognize("restore")
