"""Every command that writes, one after the other."""

from pathlib import Path

from tests.acceptance.contents import Contents, contents
from tests.services import Project


def cycle(project: Project, archive: Project, package: Path) -> None:
    """Every command that writes, once; `archive` must be afterwards as it was before."""
    before = contents(archive)
    project.succeed("create_backup", "--output", package)
    project.succeed("system_reinit", "--confirm")
    empty = contents(archive)
    assert (empty.count("documents_document"), empty.files) == (0, {})

    project.succeed("restore_from_package", package, "--confirm")
    assert_equal(contents(archive), before)
    project.succeed("undo_restore", "--confirm")
    assert_equal(contents(archive), empty)
    project.succeed("undo_restore", "--confirm")
    assert_equal(contents(archive), before)
    project.succeed("drill_restore", package)
    project.succeed("verify_package", package)
    project.succeed("prune_packages")
    assert_equal(contents(archive), before)
    states = [run["state"] for run in project.json("runs")["runs"]]
    assert states == ["succeeded"] * 8


def assert_equal(found: Contents, expected: Contents) -> None:
    assert found.tables == expected.tables
    assert found.structure == expected.structure
    assert found.files == expected.files
