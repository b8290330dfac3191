"""Habits of the code that no linter holds."""

from __future__ import annotations

import re
from pathlib import Path

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
