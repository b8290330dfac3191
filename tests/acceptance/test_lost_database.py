"""The database is gone, or the path to it is mistyped: the same to a program, not to a person."""

from pathlib import Path

from tests.acceptance.contents import contents
from tests.services import MakeProject, Project


def test_a_lost_database_is_restored_once_somebody_said_that_it_is_lost(
    make_project: MakeProject, tmp_path: Path
) -> None:
    lost = make_project("sqlite", demo=True)
    package, before = tmp_path / "x.tar.zst", contents(lost)
    lost.succeed("create_backup", "--output", package)
    empty = Project(engine="sqlite", folder=tmp_path / "new")
    empty.folder.mkdir()
    restore = ("restore_from_package", package, "--type", "full", "--confirm")

    refused = empty.manage(*restore)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert str(empty.database) in refused.stderr
    assert "manage.py migrate" in refused.stderr
    assert list(empty.folder.iterdir()) == []

    empty.succeed("migrate", "--no-input")
    empty.succeed(*restore)
    assert contents(empty) == before
