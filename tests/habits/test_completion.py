"""What the commands' page tells a shell to complete is completed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.habits.pages import ROOT, page

SNIPPET = page("docs/reference/commands.md").fenced("bash")[0]


@pytest.mark.parametrize(
    ("typed", "completed"),
    [
        ("./manage.py restore_", "restore_from_package"),
        ("./manage.py list_", "list_packages"),
        ("./manage.py drill_restore --sto", "--store="),
    ],
)
def test_a_shell_completes_commands_and_options(typed: str, completed: str) -> None:
    """As bash does it when the tabulator is pressed: it sets the words, and calls the function that
    `complete` has named."""
    last = len(typed.split()) - 1
    pressed = f"COMP_WORDS=({typed}); COMP_CWORD={last}; complete -p ./manage.py >/dev/null"
    script = f'{SNIPPET}\n{pressed} && _manage_py ./manage.py; echo "${{COMPREPLY[@]}}"'
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"

    done = subprocess.run(
        ["bash", "-c", script],
        cwd=ROOT,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.split() == [completed]
