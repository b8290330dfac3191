"""How a command is refused: its exit code, its words, and live as it was."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.acceptance.contents import contents
from tests.services import Project

DAMAGED, KEY, INVALID, MISFIT = 5, 6, 7, 8


@dataclass(frozen=True, kw_only=True)
class Refused:
    """How a command was refused."""

    code: int
    words: str
    error: dict[str, Any]


def refused(project: Project, *arguments: str | Path) -> Refused:
    """Run a command that must fail, must leave live as it is."""
    before = contents(project)
    done = project.manage(*arguments, "--json")
    assert done.returncode != 0, done.stdout
    after = contents(project)
    assert after == before
    answer = json.loads(done.stdout)
    assert answer["ok"] is False
    (error,) = answer["errors"]
    assert error["exit_code"] == done.returncode
    assert error["hint"]
    return Refused(code=done.returncode, words=done.stderr, error=error)


def restoring(package: Path | str, *more: str) -> tuple[str | Path, ...]:
    return ("restore_from_package", package, "--type", "full", "--confirm", *more)
