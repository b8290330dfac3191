"""A primary key that a row once had is never given again."""

from pathlib import Path

import pytest

from tests.services import EVERY_ENGINE, MakeProject, Project

TAG = 'M["documents.tag"].objects'


@pytest.fixture(params=EVERY_ENGINE)
def project(request: pytest.FixtureRequest, make_project: MakeProject) -> Project:
    made: Project = make_project(request.param)
    return made


def given_and_gone(project: Project, *names: str) -> int:
    """Make tags and delete them; return the highest primary key that one had."""
    for name in names:
        key = int(project.evaluate(f'{TAG}.create(name="{name}").pk'))
        project.evaluate(f"{TAG}.filter(pk={key}).delete()[0]")
    return key


def test_the_keys_of_deleted_rows_are_not_given_again_after_a_restore(
    project: Project, make_project: MakeProject, tmp_path: Path
) -> None:
    """Neither those of before the backup, also in another database, nor those given since."""
    package = tmp_path / "x.tar.zst"
    gone = given_and_gone(project, "a", "b", "c")

    project.succeed("create_backup", "--output", package)
    project.succeed("restore_from_package", package, "--confirm", "--no-safety-backup")
    after = given_and_gone(project, "d", "e")
    project.succeed("restore_from_package", package, "--confirm", "--no-safety-backup")

    last = given_and_gone(project, "f")
    assert gone < after < last
    project.succeed("undo_restore", "--confirm")
    assert given_and_gone(project, "g") > last
    other = make_project(project.engine)
    other.succeed("restore_from_package", package, "--confirm", "--no-safety-backup")
    assert given_and_gone(other, "h") > gone
