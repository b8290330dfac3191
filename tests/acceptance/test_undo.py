"""Undo gives back what was there, rows and files; and can be undone itself."""

from pathlib import Path

from tests.acceptance.contents import contents, files
from tests.services import Project


def work_on(project: Project) -> None:
    """What people do after a restore: write rows, change and delete files."""
    project.succeed(
        "shell",
        "--no-imports",
        "-c",
        'from edms.documents.models import Tag; Tag.objects.create(name="new")',
    )
    first, second, *_ = sorted(files(project))
    (project.media / first).write_bytes(b"changed since")
    (project.media / second).unlink()
    (project.media / "new.txt").write_text("written since")


def test_undo_gives_the_state_from_before_and_can_be_undone(
    demo_project: Project, tmp_path: Path
) -> None:
    project, package = demo_project, tmp_path / "x.tar.zst"
    project.succeed("create_backup", "--output", package)
    backed_up = contents(project)
    work_on(project)
    worked_on = contents(project)
    assert worked_on != backed_up

    project.succeed("restore_from_package", package, "--type", "full", "--confirm")
    assert contents(project) == backed_up
    project.succeed("undo_restore", "--confirm")
    assert contents(project) == worked_on
    project.succeed("undo_restore", "--confirm")
    assert contents(project) == backed_up
    project.succeed("undo_restore", "--confirm")
    assert contents(project) == worked_on


def test_a_reset_can_be_undone(demo_project: Project) -> None:
    before = contents(demo_project)

    demo_project.succeed("system_reinit", "--confirm", "--no-safety-backup")
    assert files(demo_project) == {}
    demo_project.succeed("undo_restore", "--confirm")

    assert contents(demo_project) == before


def test_pruning_with_a_new_ledger_keeps_the_files_that_an_earlier_restore_added(
    demo_project: Project, tmp_path: Path
) -> None:
    """After a disaster the media may be the old ones, beside a database that is new: what a run
    that nobody remembers has put there belongs to live."""
    project, package = demo_project, tmp_path / "x.tar.zst"
    project.succeed("create_backup", "--output", package)
    before = contents(project)
    (project.media / min(files(project))).unlink()
    project.succeed("restore_from_package", package, "--confirm", "--no-safety-backup")
    forget = "from backup_tasks.models import *; UndoPoint.objects.all().delete(); "
    project.succeed("shell", "--no-imports", "-c", f"{forget}Run.objects.all().delete()")

    project.succeed("prune_packages")

    assert [path.name for path in project.media.glob(".backup_tasks/*")] == ["id"]
    assert contents(project) == before


def test_there_is_nothing_to_undo_before_anything_was_replaced(project: Project) -> None:
    before = contents(project)

    done = project.json("undo_restore", "--confirm")

    assert done["errors"][0]["kind"] == "NothingToUndo"
    assert contents(project) == before


def test_the_safety_backup_holds_what_the_restore_replaced(
    demo_project: Project, tmp_path: Path
) -> None:
    """F9: also when the tables kept for undo have gone."""
    project, package = demo_project, tmp_path / "x.tar.zst"
    project.succeed("create_backup", "--output", package)
    work_on(project)
    worked_on = contents(project)
    project.succeed("restore_from_package", package, "--type", "full", "--confirm")

    (safety,) = project.json("list_packages")["packages"]
    assert "safety" in safety["name"]
    project.succeed("restore_from_package", safety["name"], "--type", "full", "--confirm")

    assert contents(project) == worked_on
