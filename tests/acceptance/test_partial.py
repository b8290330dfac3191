"""Packages of a part, and parts of packages."""

import json
from pathlib import Path

import pytest

from tests.acceptance.contents import contents, files
from tests.services import Project


def spoil(project: Project) -> None:
    """Change a row and a file."""
    project.succeed(
        "shell",
        "--no-imports",
        "-c",
        "from edms.documents.models import Document; Document.objects.update(title='spoilt')",
    )
    first, *_ = sorted(files(project))
    (project.media / first).write_bytes(b"spoilt")


@pytest.mark.parametrize("made", ["full", "database"])
def test_the_database_alone_is_restored(demo_project: Project, tmp_path: Path, made: str) -> None:
    project, package = demo_project, tmp_path / "x.tar.zst"
    before = contents(project)
    project.succeed("create_backup", "--type", made, "--output", package)
    spoil(project)
    spoilt = files(project)

    project.succeed("restore_from_package", package, "--type", "database", "--confirm")

    assert contents(project).tables == before.tables
    assert files(project) == spoilt


@pytest.mark.parametrize("made", ["full", "files"])
def test_the_files_alone_are_restored(demo_project: Project, tmp_path: Path, made: str) -> None:
    project, package = demo_project, tmp_path / "x.tar.zst"
    before = contents(project)
    project.succeed("create_backup", "--type", made, "--output", package)
    spoil(project)
    spoilt = contents(project).tables
    (project.media / "since.txt").write_text("not in the package")

    project.succeed("restore_from_package", package, "--type", "files", "--confirm")

    assert files(project) == before.files
    assert contents(project).tables == spoilt


@pytest.mark.parametrize(("made", "asked"), [("database", "files"), ("files", "database")])
def test_a_part_that_the_package_does_not_hold_is_not_restored_as_empty(
    demo_project: Project, tmp_path: Path, made: str, asked: str
) -> None:
    """No silent loss: asked for files, a package without any must not remove them all."""
    project, package = demo_project, tmp_path / "x.tar.zst"
    project.succeed("create_backup", "--type", made, "--output", package)
    before = contents(project)

    done = project.manage("restore_from_package", package, "--type", asked, "--confirm", "--json")

    assert contents(project) == before
    assert done.returncode == 8, done.stdout + done.stderr


def test_a_package_without_users_fits_where_the_users_still_are(
    demo_project: Project, tmp_path: Path
) -> None:
    """S2, S8: everything but the users, who stay as they are."""
    project, package = demo_project, tmp_path / "x.tar.zst"
    project.succeed("create_backup", "--no-include-users", "--output", package)
    project.succeed(
        "shell",
        "--no-imports",
        "-c",
        "from edms.users.models import User; User.objects.filter(username='ada')"
        ".update(first_name='Augusta')",
    )
    users = contents(project).tables["users_user"]
    rest = {k: v for k, v in contents(project).tables.items() if k != "users_user"}
    spoil(project)

    answer = project.json("restore_from_package", package, "--type", "full", "--confirm")

    assert answer["ok"], answer["errors"]
    after = contents(project)
    assert after.tables["users_user"] == users
    assert {k: v for k, v in after.tables.items() if k != "users_user"} == rest
    assert answer["digests_equal"].get("users.user") is None  # nothing is claimed of them


def test_a_package_without_users_is_refused_where_the_users_are_gone(
    demo_project: Project, tmp_path: Path
) -> None:
    """S8, F5: missing users are never invented."""
    project, package = demo_project, tmp_path / "x.tar.zst"
    project.succeed("create_backup", "--no-include-users", "--output", package)
    project.succeed("system_reinit", "--confirm", "--no-safety-backup")
    before = contents(project)

    done = project.manage("restore_from_package", package, "--type", "full", "--confirm", "--json")

    assert contents(project) == before
    assert done.returncode in (1, 7, 8)
    (error,) = json.loads(done.stdout)["errors"]
    assert "user" in error["what"] + error["object"]


def test_what_was_left_out_is_in_the_manifest_with_the_reason(
    demo_project: Project, tmp_path: Path
) -> None:
    from backup_tasks.package.reader import unpack
    from tests.acceptance.crafting import ignore

    package = tmp_path / "x.tar.zst"
    demo_project.succeed("create_backup", "--no-include-users", "--output", package)

    manifest = unpack(package, tmp_path / "x", identities=(), progress=ignore)

    reasons = {entry.label: entry.reason for entry in manifest.excluded}
    assert "--no-include-users" in reasons["users.user"]
    assert "control table" in reasons["backup_tasks.run"]
    assert not {"users.user", "users.user_groups"} & {entry.label for entry in manifest.models}


def test_a_file_where_live_has_a_folder_is_refused_and_nothing_changes(
    demo_project: Project, tmp_path: Path
) -> None:
    project, package = demo_project, tmp_path / "x.tar.zst"
    (project.media / "plan").write_text("a file")
    project.succeed("create_backup", "--output", package)
    (project.media / "plan").unlink()
    (project.media / "plan").mkdir()
    (project.media / "plan" / "page").write_text("in a folder")
    before = contents(project)

    done = project.manage("restore_from_package", package, "--confirm", "--no-safety-backup")

    assert done.returncode == 8, done.stderr
    assert "plan/page" in done.stderr
    assert contents(project) == before
