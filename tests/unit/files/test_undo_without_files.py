"""An undo whose kept files are gone is refused by name before anything changes, unless it is told
to go on without them."""

import shutil
from pathlib import Path

import pytest
from pytest_django import Settings

from backup_tasks.errors import HandoverChanged
from backup_tasks.models import Run, UndoPoint
from backup_tasks.restore.run_folder import RunFolder
from backup_tasks.restore.undo_points import files_in_words
from backup_tasks.runs import chains
from backup_tasks.runs.foreground import run_here
from edms.documents.models import Tag
from tests.acceptance.contents import contents, files
from tests.integration.rows.transfer import Silent, run
from tests.services import Project


@pytest.fixture
def restored(on_demo_project: Project) -> Run:
    """A restore after which a file is another, one is new, one is gone, and so is a row."""
    package = run("backup").package
    changed, missing, *_ = sorted(files(on_demo_project))
    (on_demo_project.media / changed).write_bytes(b"changed since")
    (on_demo_project.media / missing).unlink()
    (on_demo_project.media / "new.txt").write_bytes(b"written since")
    Tag.objects.create(name="since")
    return run("restore", package=package, safety=False)


def folder_of(project: Project, restore: Run) -> Path:
    return project.media / ".backup_tasks" / restore.pk


def undo_is_refused(project: Project, *naming: str) -> None:
    before = contents(project)
    with pytest.raises(HandoverChanged) as refused:
        run("undo")
    assert contents(project) == before
    assert all(name in str(refused.value) for name in (*naming, "--accept-missing-files"))
    assert UndoPoint.objects.filter(undone_at=None).exists(), "it can still be undone"


def test_a_folder_that_somebody_removed_is_named(on_demo_project: Project, restored: Run) -> None:
    shutil.rmtree(folder_of(on_demo_project, restored))

    undo_is_refused(on_demo_project, restored.pk, "storage default")


def test_rows_alone_are_brought_back_when_it_is_asked_for(
    on_demo_project: Project, restored: Run
) -> None:
    shutil.rmtree(folder_of(on_demo_project, restored))
    as_restored = files(on_demo_project)

    done = run("undo", accept_missing_files=True)

    assert Tag.objects.filter(name="since").exists()
    assert files(on_demo_project) == as_restored
    assert done.report["warnings"] == ["only rows were brought back, no files: storage default"]
    assert UndoPoint.objects.get(pk=done.pk).storages == []
    run("undo")
    assert not Tag.objects.filter(name="since").exists()
    assert files(on_demo_project) == as_restored


def test_a_kept_file_that_is_gone_is_named(on_demo_project: Project, restored: Run) -> None:
    (folder_of(on_demo_project, restored) / "kept/new.txt").unlink()
    before = files(on_demo_project)

    undo_is_refused(on_demo_project, restored.pk, "new.txt")

    done = run("undo", accept_missing_files=True)
    now = files(on_demo_project)
    (warning,) = done.report["warnings"]
    assert "1 files" in warning
    assert "new.txt" in warning
    assert "new.txt" not in now
    changed, missing = min(before), sorted(before)[1]
    assert now == {
        **{name: data for name, data in before.items() if name != missing},
        changed: b"changed since",
    }


def test_a_storage_that_the_settings_do_not_name_any_more_is_told(
    on_demo_project: Project, restored: Run, settings: Settings
) -> None:
    settings.BACKUP = {**settings.BACKUP, "FILE_STORAGES": []}

    undo_is_refused(on_demo_project, "storage default")


def test_a_restore_of_rows_alone_needs_no_files_for_its_undo(on_demo_project: Project) -> None:
    package = run("backup").package
    Tag.objects.create(name="since")
    run("restore", package=package, safety=False, type="database")
    assert UndoPoint.objects.get().storages == []

    assert run("undo").report["warnings"] == []

    assert Tag.objects.filter(name="since").exists()


@pytest.mark.parametrize("is_gone", [False, True])
def test_an_undo_point_of_an_earlier_version_is_undone_as_before_with_a_warning(
    on_demo_project: Project, restored: Run, is_gone: bool
) -> None:
    UndoPoint.objects.update(storages=None)
    if is_gone:
        shutil.rmtree(folder_of(on_demo_project, restored))

    done = run("undo")

    assert Tag.objects.filter(name="since").exists()
    (warning,) = done.report["warnings"]
    assert "an earlier version" in warning
    assert warning.endswith("no storage" if is_gone else "storage default")
    assert ("new.txt" in files(on_demo_project)) is not is_gone


@pytest.mark.parametrize("kind", ["restore", "undo"])
def test_a_run_whose_own_plan_is_gone_when_it_is_resumed_does_not_succeed(
    on_demo_project: Project, restored: Run, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Its rows are replaced, its files are not: without the plan nobody knows which."""
    params = {"package": restored.package, "safety": False} if kind == "restore" else {}
    (on_demo_project.media / min(files(on_demo_project))).write_bytes(b"changed again")

    def die(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(RunFolder, "move_to_live" if kind == "restore" else "keep", die)
    failing = chains.start(kind, trigger="command", params=params)
    with pytest.raises(Exception, match="ZeroDivision"):
        run_here(failing, watcher=Silent())
    monkeypatch.undo()
    assert not UndoPoint.objects.get(pk=failing.pk).files_done
    shutil.rmtree(folder_of(on_demo_project, failing))

    with pytest.raises(HandoverChanged, match="plan of the files is gone"):
        run_here(chains.resume(failing.pk, on_workers=False), watcher=Silent())


def test_undo_points_tell_their_storages(restored: Run) -> None:
    point = UndoPoint.objects.get()
    assert files_in_words(point) == "default"
    assert files_in_words(UndoPoint(storages=None)) == "not recorded"
    assert files_in_words(UndoPoint(storages=[])) == "none"
