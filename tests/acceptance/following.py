"""Somebody who follows a page of the documentation, word for word, in an EDMS."""

import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from edms.local.instance import ROOT
from edms.local.processes import run
from tests.habits.pages import page
from tests.services import Project


@dataclass(kw_only=True)
class Reader:
    """Types what the page says, block by block, with names in place of its placeholders."""

    path: str
    project: Project
    variables: dict[str, str] = field(default_factory=dict)
    """Of the reader's shell, besides those of the project."""

    def __post_init__(self) -> None:
        self._left = list(page(self.path).scripts)

    def types(
        self, names: Mapping[str, str | Path] = {}, *, stdin: str = "", exit_code: int = 0
    ) -> str:
        """Run the next block; return what it printed. `names` has what is typed for which word of
        the page, `stdin` what is answered to what it asks. The shell stops at the first line that
        fails."""
        script = self._left.pop(0)
        for placeholder, name in names.items():
            assert placeholder in script, f"{self.path} does not ask for {placeholder}:\n{script}"
            script = script.replace(placeholder, str(name))
        return self._runs(script, stdin, exit_code)

    def fails(self, exit_code: int, names: Mapping[str, str | Path], message: str) -> None:
        """Run the next block, of which the page says that it fails with this code and message."""
        assert message in self.types(names, exit_code=exit_code)

    def chooses(self, line: int, names: Mapping[str, str | Path] = {}) -> str:
        """Run one line of the next block, which lists what else could be typed."""
        self._left[0] = self._left[0].splitlines()[line] + "\n"
        return self.types(names)

    def leaves_out(self, beginning: str) -> None:
        """Skip the next block, of which the test says in its own words why."""
        assert self._left.pop(0).startswith(beginning)

    def has_finished(self) -> bool:
        """Whether nothing of the page is left to type."""
        return not self._left

    def has(self, *programs: str) -> bool:
        """Whether the programs are on this machine."""
        return all(map(shutil.which, programs))

    def _runs(self, script: str, stdin: str, exit_code: int) -> str:
        path = os.pathsep.join([str(Path(sys.executable).parent), self.project.env["PATH"]])
        env = {**self.project.env, **self.variables, "PATH": path}
        command = ["/bin/sh", "-e", "-c", script]
        if stdin:  # a password is asked for at the terminal, where there is one
            command = ["setsid", "--wait", *command]
        done = run(command, env=env, cwd=ROOT, stdin=stdin or None)
        printed = done.stdout + done.stderr
        assert done.returncode == exit_code, f"{script}→ {done.returncode}\n{printed}"
        return printed
