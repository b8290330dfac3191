"""Files as they are found: names that are not UTF-8, modes, links, pipes."""

import os
import stat
from pathlib import Path

from tests.acceptance.contents import contents
from tests.services import Project

LATIN = b"caf\xe9.txt"


def latin(project: Project) -> Path:
    return Path(os.fsdecode(os.fsencode(project.media) + b"/" + LATIN))


def modes(project: Project) -> dict[str, str]:
    return {
        str(path): oct(stat.S_IMODE(path.stat().st_mode))
        for path in sorted(project.media.rglob("*"))
        if path.is_file() and not path.is_symlink() and ".backup_tasks" not in path.parts
    }


def test_odd_names_and_modes_come_back_and_what_does_not_is_named(
    demo_project: Project, tmp_path: Path
) -> None:
    project = demo_project
    latin(project).write_text("au lait")
    private = project.media / "private.txt"
    private.write_text("for its owner")
    private.chmod(0o600)
    os.mkfifo(project.media / "pipe")
    (project.media / "broken").symlink_to("nowhere")
    (tmp_path / "outside").write_text("not ours")
    (project.media / "outside").symlink_to(tmp_path / "outside")
    before, found = modes(project), contents(project)

    told = project.json("create_backup")

    assert told["ok"], told
    (warning,) = told["warnings"]
    assert "storage default: not in the package: " in warning
    for named in (
        "pipe (a pipe)",
        "broken (a link that leads nowhere)",
        "outside (a link that leads outside the storage)",
    ):
        assert named in warning
    for path in before:
        Path(path).unlink()
    project.succeed("restore_from_package", told["package"], "--confirm")
    assert modes(project) == before
    assert contents(project) == found
    kept = next((project.media / ".backup_tasks").glob("restore-*")).parent
    assert stat.S_IMODE(kept.stat().st_mode) == 0o700

    project.succeed("undo_restore", "--confirm")
    assert modes(project) == {}
    assert (project.media / "outside").is_symlink()


def test_a_row_whose_file_has_another_name_on_disk_is_told(demo_project: Project) -> None:
    """The names in the warning are those of the rows; beside them lies one that is no text."""
    project = demo_project
    latin(project).write_text("au lait")
    gone = min(path for path in modes(project) if "caf" not in path)
    Path(gone).unlink()

    told = project.json("create_backup")

    assert told["ok"], told
    assert any("1 files were missing" in line for line in told["warnings"])
    project.succeed("drill_restore", told["package"])
