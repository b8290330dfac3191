"""The page that tells where to change what names files that exist."""

from __future__ import annotations

import pytest

from tests.habits.pages import ROOT, coded, page, rows

PAGE = "docs/where-to-change.md"
CHANGES = list(rows(page(PAGE).section("Ten changes")))
FOLDERS = ("backup_tasks", "")
"""Where a path of the page begins."""


def _paths(text: str) -> list[str]:
    return [code for code in coded(text) if "/" in code or code.endswith((".py", ".toml"))]


def test_it_tells_of_ten_changes() -> None:
    assert len(CHANGES) == 10


@pytest.mark.parametrize("path", sorted(set(_paths(page(PAGE).text))))
def test_every_path_exists(path: str) -> None:
    assert any((ROOT / folder / path).exists() for folder in FOLDERS), path


@pytest.mark.parametrize("change", CHANGES, ids=lambda cells: cells[0])
def test_every_change_names_where_it_is_made(change: list[str]) -> None:
    assert _paths(change[1]) or coded(change[1]), change


def test_every_room_is_on_the_page() -> None:
    named = {path.rstrip("/") for cells in rows(page(PAGE).text) for path in _paths(cells[0])}
    ours = {
        entry.name
        for entry in (ROOT / "backup_tasks").iterdir()
        if (entry.suffix == ".py" or any(entry.glob("*.py")))
        and entry.name not in {"__init__.py", "apps.py", "migrations"}
    }

    assert ours <= named
