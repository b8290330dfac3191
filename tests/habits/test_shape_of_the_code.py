"""Habits of the code that no linter holds."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path, PurePath

import pytest

from tests.habits.pages import ROOT

LONGEST = 350
"""Lines. About 300 is the aim."""

NAMELESS = {"utils", "util", "helpers", "helper", "common", "misc", "manager", "handler"}
FOLDERS = ("backup_tasks", "edms", "tests", "benchmarks")
MODULES = sorted(
    path
    for folder in FOLDERS
    for path in (ROOT / folder).rglob("*.py")
    if "migrations" not in path.parts
)


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def test_no_file_is_longer_than_one_subject_needs() -> None:
    lengths = {_name(path): len(_text(path).splitlines()) for path in MODULES}

    assert {name: length for name, length in lengths.items() if length > LONGEST} == {}


def test_every_module_has_a_name() -> None:
    assert [_name(path) for path in MODULES if path.stem in NAMELESS] == []
    assert [_name(path) for path in MODULES if path.parent.name in NAMELESS] == []


def test_nothing_is_left_for_later() -> None:
    """What is planned is in docs/explanation/limits.md."""
    mark = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|XX" + r"X|HA" + r"CK)\b")

    assert [_name(path) for path in MODULES if mark.search(_text(path))] == []


@pytest.mark.parametrize("package", ["backup_tasks", "edms"])
def test_what_is_installed_holds_every_file_that_is_not_python(package: str) -> None:
    """Templates and styles must be in the wheel, else the pages of every other project break."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    named = project["tool"]["setuptools"].get("package-data", {})
    missing = []
    for path in (ROOT / package).rglob("*"):
        if path.is_file() and path.suffix not in {".py", ".pyc"}:
            folder = path.parent
            while not (folder / "__init__.py").is_file():
                folder = folder.parent
            owner = ".".join(folder.relative_to(ROOT).parts)
            patterns = [*named.get("*", []), *named.get(owner, [])]
            inside = PurePath(path.relative_to(folder))
            if not any(_matches(inside, pattern) for pattern in patterns):
                missing.append(_name(path))

    assert missing == []


def _matches(path: PurePath, pattern: str) -> bool:
    """Whether a glob of setuptools has the path; `**` stands for any number of folders."""
    glob = re.escape(pattern).replace(r"\*\*/", "(?:.*/)?").replace(r"\*", "[^/]*")
    return re.fullmatch(glob, str(path)) is not None
