"""Runs that must not start, or must not go on; and what a dry run says."""

from dataclasses import replace
from pathlib import Path

from tests.acceptance.contents import contents
from tests.acceptance.crafting import Craft
from tests.acceptance.refusing import KEY, MISFIT, refused, restoring
from tests.services import MakeProject, Project

# Order of work


def test_a_second_run_that_writes_to_live_is_refused_naming_the_first(
    project: Project, package: Path
) -> None:
    """F12."""
    start = """
from backup_tasks.runs import chains
print(chains.start("reinit", trigger="command", params={}).pk)
"""
    active = project.succeed("shell", "--no-imports", "-c", start).stdout.strip()

    restore = refused(project, *restoring(package))
    reset = refused(project, "system_reinit", "--confirm")
    undo = refused(project, "undo_restore", "--confirm")

    for found in (restore, reset, undo):
        assert found.code == 4
        assert active in found.words


def test_a_dry_run_says_what_would_happen_and_touches_nothing(live: Project, package: Path) -> None:
    before, store = contents(live), _names(live)

    plan = live.json("restore_from_package", package, "--type", "full", "--dry-run")["plan"]
    reset = live.json("system_reinit", "--dry-run")["plan"]

    assert plan["models"]["documents.document"] == {"now": 5, "then": 5, "equal": True}
    assert plan["files"] == {"now": 5, "then": 5}
    assert reset["models"]["users.user"] == {"now": 10, "then": None}
    assert contents(live) == before
    assert _names(live) == store
    assert live.evaluate('M["backup_tasks.undopoint"].objects.count()') == 0


def test_a_dry_run_refuses_what_the_restore_would_refuse(
    live: Project, craft: Craft, tmp_path: Path
) -> None:
    craft.manifest = replace(
        craft.manifest, migrations=(*craft.manifest.migrations, ("documents", "0099_barcode"))
    )
    newer = craft.write(tmp_path / "newer.tar.gz")

    found = refused(live, "restore_from_package", newer, "--type", "full", "--dry-run")

    assert found.code == MISFIT


def test_nothing_destructive_happens_when_the_safety_backup_fails(
    make_project: MakeProject, engine: str, package: Path
) -> None:
    """F9: “Proceeding without backup”. Here it can't be made: what it is encrypted to is no key."""
    project = make_project(engine, demo=True, variables={"BACKUP_RECIPIENTS": "age1notakey"})

    restore = refused(project, *restoring(package))
    reset = refused(project, "system_reinit", "--confirm")

    assert restore.code == reset.code == KEY
    assert not project.store.exists() or list(project.store.iterdir()) == []


def test_an_existing_file_is_never_overwritten_by_a_backup(live: Project, tmp_path: Path) -> None:
    precious = tmp_path / "x.tar.gz"
    precious.write_text("precious")

    found = refused(live, "create_backup", "--output", precious)

    assert found.code == 2
    assert precious.read_text() == "precious"


def _names(project: Project) -> list[str]:
    """Everything in the project's folder, the ledger's own database apart."""
    return sorted(
        str(path.relative_to(project.folder))
        for path in project.folder.rglob("*")
        if not path.name.startswith("edms.sqlite3-")
    )
