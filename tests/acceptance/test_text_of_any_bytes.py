"""SQLite stores any bytes as text. What is no UTF-8 comes back to the byte, by every command."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.services import MakeProject, Project

NUMBER = "CAST('SOP-' || x'ff' || id AS TEXT)"
TITLE = "CAST(x'636166e9' AS TEXT)"


@pytest.fixture
def odd(make_project: MakeProject) -> Project:
    """Documents have natural keys and titles that are not UTF-8; versions refer to them."""
    project: Project = make_project("sqlite", demo=True)
    change(project, f"UPDATE documents_document SET document_number = {NUMBER}, title = {TITLE}")
    return project


def change(project: Project, *statements: str) -> None:
    with closing(sqlite3.connect(project.database)) as file, file:
        for statement in statements:
            file.execute(statement)


def stored(project: Project, table: str = "documents_document") -> list[tuple[str, ...]]:
    with closing(sqlite3.connect(project.database)) as file:
        names = [name for _, name, *_ in file.execute(f"PRAGMA table_info({table})")]
        columns = ", ".join(f"typeof({name}) || ' ' || hex({name})" for name in names)
        return file.execute(f"SELECT {columns} FROM {table} ORDER BY id").fetchall()


def test_text_that_is_no_utf_8_comes_back_by_restore_undo_drill_and_merge(
    odd: Project, tmp_path: Path
) -> None:
    package, before = tmp_path / "x.tar.zst", stored(odd)
    made = odd.json("create_backup")["package"]
    odd.succeed("create_backup", "--output", package)
    odd.succeed("verify_package", package)
    look = odd.json("drill_restore", made)["second_look"]
    assert look["not_compared"] == []

    change(odd, f"UPDATE documents_document SET title = CAST(x'fe' AS TEXT) WHERE {NUMBER} <> ''")
    changed = stored(odd)
    odd.succeed("restore_from_package", package, "--confirm")
    assert stored(odd) == before
    odd.succeed("undo_restore", "--confirm")
    assert stored(odd) == changed

    odd.succeed(
        *("restore_from_package", package, "--confirm", "--mode", "merge"),
        *("--on-conflict", "package"),
    )
    assert stored(odd) == before
