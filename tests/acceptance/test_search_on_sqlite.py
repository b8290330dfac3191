"""SQLite: a full-text index kept by triggers is right after every command, and nothing is lost."""

import sqlite3
from contextlib import closing
from typing import Any

import pytest

from tests.services import MakeProject, Project

SEARCH = """
CREATE VIRTUAL TABLE search USING fts5(title, content='documents_document', content_rowid='id');
CREATE TRIGGER search_in AFTER INSERT ON documents_document BEGIN
    INSERT INTO search(rowid, title) VALUES (new.id, new.title); END;
CREATE TRIGGER search_out AFTER DELETE ON documents_document BEGIN
    INSERT INTO search(search, rowid, title) VALUES ('delete', old.id, old.title); END;
CREATE TRIGGER search_new AFTER UPDATE ON documents_document BEGIN
    INSERT INTO search(search, rowid, title) VALUES ('delete', old.id, old.title);
    INSERT INTO search(rowid, title) VALUES (new.id, new.title); END;
CREATE VIEW titles AS SELECT title FROM documents_document;
CREATE INDEX of_an_administrator ON documents_document (lower(title)) WHERE title <> '';
INSERT INTO search(search) VALUES ('rebuild');
"""


def look(project: Project) -> list[Any]:
    """The schema; and the index is proven against the table."""
    with closing(sqlite3.connect(project.database, isolation_level=None)) as client:
        for name in ("search", "documents_search"):  # of this test, and of the EDMS
            client.execute(f"INSERT INTO {name}({name}, rank) VALUES ('integrity-check', 1)")
        assert client.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        client.execute("BEGIN")
        client.execute("UPDATE documents_document SET title = title || '!'")
        client.execute("ROLLBACK")
        return client.execute("SELECT type, name, sql FROM sqlite_master ORDER BY 1, 2").fetchall()


def hits(project: Project, word: str) -> int:
    with closing(sqlite3.connect(project.database)) as client:
        return len(client.execute("SELECT rowid FROM search(?)", [word]).fetchall())


@pytest.mark.slow
def test_each_command_leaves_schema_and_search_right(make_project: MakeProject) -> None:
    project = make_project("sqlite", demo=True)
    with closing(sqlite3.connect(project.database)) as client:
        client.executescript(SEARCH)
        (total,) = client.execute("SELECT count(*) FROM documents_document").fetchone()
        client.execute("UPDATE documents_document SET title = 'unique beforehand'")
        client.commit()
    before = look(project)
    backup = project.json("create_backup")
    assert backup["ok"]
    assert not [line for line in backup["warnings"] if "refused" in line]
    with closing(sqlite3.connect(project.database)) as client:
        client.execute("UPDATE documents_document SET title = 'something later'")
        client.commit()

    for command, later, beforehand in (
        (("drill_restore",), total, 0),
        (("restore_from_package", "--confirm", "--no-safety-backup"), 0, total),
        (("undo_restore", "--confirm"), total, 0),
        (("restore_from_package", "--mode", "merge", "--on-conflict", "package"), 0, total),
        (("system_reinit", "--confirm", "--no-safety-backup"), 0, 0),
        (("undo_restore", "--confirm"), 0, total),
        (("backup_cycle", "--promote"), 0, total),
    ):
        if "merge" in command:
            command = (*command, "--confirm")
        project.succeed(*command)
        assert look(project) == before, command
        assert (hits(project, "later"), hits(project, "beforehand")) == (later, beforehand), command


@pytest.mark.slow
def test_a_cycle_that_promotes_nothing_is_refused_by_what_would_refuse_the_promote(
    make_project: MakeProject,
) -> None:
    """The proof is of the restore to come: the run can be resumed once the cause is gone."""
    project = make_project("sqlite", demo=True)
    with closing(sqlite3.connect(project.database, isolation_level=None)) as client:
        client.execute("ALTER TABLE documents_tag ADD COLUMN colour text")
        refused = project.json("backup_cycle")
        assert refused["errors"][0]["exit_code"] == 8
        assert "column colour of documents_tag is in live only" in refused["errors"][0]["what"]
        client.execute("ALTER TABLE documents_tag DROP COLUMN colour")
    assert project.json("resume_run", refused["run"])["ok"]
