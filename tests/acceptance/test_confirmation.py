"""Without --confirm nothing destructive happens, whoever asks and from wherever."""

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from edms.local.instance import ROOT
from tests.acceptance.contents import contents, control
from tests.services import Project

COMMANDS = {
    "restore": ("restore_from_package", "{package}", "--type", "full"),
    "reset": ("system_reinit",),
    "undo": ("undo_restore",),
}


def at_a_terminal(project: Project, *arguments: str) -> tuple[int, str]:
    """Run a management command with a terminal for stdin, stdout and stderr, and somebody who
    types “yes” there. Returns its exit code and what it showed."""
    master, slave = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env=project.env,
        stdin=slave,
        stdout=slave,
        stderr=slave,
    ) as program:
        os.close(slave)
        os.write(master, b"yes\nyes\n")
        shown = b""
        while True:
            try:
                piece = os.read(master, 4096)
            except OSError:  # the other side is closed
                break
            if not piece:
                break
            shown += piece
        code = program.wait(60)
    os.close(master)
    return code, shown.decode()


@pytest.mark.parametrize("command", COMMANDS)
def test_without_confirmation_nothing_is_touched_at_a_terminal_or_not(
    demo_project: Project, command: str, tmp_path: Path
) -> None:
    """F14: confirmation was bypassed when stdin was not a terminal."""
    package = tmp_path / "x.tar.gz"
    demo_project.succeed("create_backup", "--output", package)
    before, ledger = contents(demo_project), control(demo_project)
    arguments = [part.format(package=package) for part in COMMANDS[command]]

    codes = {
        "closed": demo_project.manage(*arguments).returncode,
        "pipe": demo_project.manage(*arguments, stdin="yes\ny\n").returncode,
        "terminal": at_a_terminal(demo_project, *arguments)[0],
        "workers": demo_project.manage(*arguments, "--enqueue").returncode,
    }

    assert codes == dict.fromkeys(codes, 3)
    assert contents(demo_project) == before
    assert control(demo_project) == ledger


def test_the_refusal_says_how_to_confirm(project: Project) -> None:
    code, shown = at_a_terminal(project, "system_reinit")

    assert code == 3
    assert "--confirm" in shown
    assert "nothing was touched" in shown
