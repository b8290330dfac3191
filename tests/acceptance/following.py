"""Somebody who follows a page of the documentation, word for word, in an EDMS."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import CompletedProcess

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

    def types(self, names: Mapping[str, str | Path] = {}, stdin: str | None = None) -> str:
        """Run the next block; return what it printed. `names` has what is typed for which word of
        the page. The shell stops at the first line that fails, and none may."""
        script = self._left.pop(0)
        for placeholder, name in names.items():
            assert placeholder in script, f"{self.path} does not ask for {placeholder}:\n{script}"
            script = script.replace(placeholder, str(name))
        done = self._shell(script, stdin)
        printed = done.stdout + done.stderr
        assert done.returncode == 0, f"{script}→ {done.returncode}\n{printed}"
        return printed

    def leaves_out(self, beginning: str) -> None:
        """Skip the next block, of which the test says in its own words why."""
        assert self._left.pop(0).startswith(beginning)

    def has_finished(self) -> bool:
        """Whether nothing of the page is left to type."""
        return not self._left

    def _shell(self, script: str, stdin: str | None) -> CompletedProcess[str]:
        path = os.pathsep.join([str(Path(sys.executable).parent), self.project.env["PATH"]])
        env = {**self.project.env, **self.variables, "PATH": path}
        command = ["/bin/sh", "-e", "-c", script]
        if stdin is not None:  # a password is asked for at the terminal, where there is one
            command = ["setsid", "--wait", *command]
        return run(command, env=env, cwd=ROOT, stdin=stdin)
