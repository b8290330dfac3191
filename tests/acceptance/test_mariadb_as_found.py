"""MariaDB: what an administrator added to live is there after a restore, or refused by name."""

import re
from typing import Any

import pytest

from edms.local.mariadb import connected
from tests.services import MakeProject, Project

TABLE = "documents_tag"


def execute(project: Project, *statements: str) -> list[Any]:
    with connected(project.database_url) as cursor:
        found: list[Any] = []
        for statement in statements:
            cursor.execute(statement)
            found += cursor.fetchall()
        return found


def structure(project: Project) -> dict[str, str]:
    """How each table would be made, without its counter."""
    names = execute(project, "SHOW FULL TABLES WHERE table_type = 'BASE TABLE'")
    return {
        name: re.sub(
            r" AUTO_INCREMENT=\d+", "", execute(project, f"SHOW CREATE TABLE {name}")[0][1]
        )
        for name, _ in names
    }


@pytest.mark.slow
def test_what_hangs_on_the_tables_is_carried_or_told_before_anything_is_built(
    make_project: MakeProject,
) -> None:
    project = make_project("mariadb", demo=True)
    sound = project.json("backup_cycle")
    assert sound["ok"]
    assert not [line for line in sound["warnings"] if "no migration makes" in line]

    # A system-versioned table is one that Django does not list.
    execute(project, f"ALTER TABLE {TABLE} ADD SYSTEM VERSIONING")
    refused = project.json("create_backup")
    assert not refused["ok"]
    assert "documents.tag (table documents_tag)" in refused["errors"][0]["what"]
    execute(project, f"ALTER TABLE {TABLE} DROP SYSTEM VERSIONING")

    # What promote would refuse fails a backup, whose package is kept, and refuses the drill.
    execute(
        project,
        f"CREATE TRIGGER tag_named BEFORE INSERT ON {TABLE} FOR EACH ROW SET @tag = NEW.name",
    )
    told = project.json("create_backup")
    assert told["errors"][0]["exit_code"] == 8
    assert "tag_named (of documents_tag)" in told["errors"][0]["what"]
    project.succeed("verify_package", told["package"])
    for command in (
        ("drill_restore",),
        ("restore_from_package", "--confirm", "--no-safety-backup"),
        ("restore_from_package", "--dry-run"),
        ("system_reinit", "--dry-run"),
    ):
        done = project.json(*command)
        assert (done["ok"], done["errors"][0]["exit_code"]) == (False, 8), command
        assert "tag_named (of documents_tag)" in done["errors"][0]["what"], command
    pattern = f"{project.database_name}\\_%"
    assert execute(project, f"SHOW DATABASES LIKE '{pattern}'") == []
    execute(project, "DROP TRIGGER tag_named")
    other = f"{project.database_name}x"
    execute(
        project,
        f"CREATE DATABASE {other}",
        f"CREATE TABLE {other}.favourite (tag bigint, CONSTRAINT of_tag FOREIGN KEY (tag)"
        f" REFERENCES {project.database_name}.{TABLE} (id))",
    )
    try:
        (warning,) = project.json("create_backup")["warnings"]
        done = project.json("drill_restore")
        assert (done["ok"], done["errors"][0]["exit_code"]) == (False, 8)
        for told in (warning, done["errors"][0]["what"]):
            assert f"of_tag of {other}.favourite" in told
    finally:
        execute(project, f"DROP DATABASE {other}")

    # The rest is there as before.
    user = f"u{project.database_name[-12:]}"
    execute(
        project,
        f"ALTER TABLE {TABLE} ADD CONSTRAINT named CHECK (name <> ''),"
        " ADD COLUMN upper_name varchar(60) AS (upper(name)) VIRTUAL, COMMENT 'added'",
        f"CREATE INDEX by_upper_name ON {TABLE} (upper_name)",
        f"CREATE VIEW tag_names AS SELECT name FROM {TABLE}",
        f"CREATE EVENT tidy ON SCHEDULE EVERY 1 YEAR DO DELETE FROM {TABLE} WHERE name = 'x'",
        f"CREATE USER {user}",
        f"GRANT SELECT (name), UPDATE (name) ON {TABLE} TO {user}",
        f"GRANT INSERT ON {TABLE} TO {user}",
    )
    try:
        before = structure(project)
        grants = execute(project, f"SHOW GRANTS FOR {user}")
        tags = execute(project, "SELECT * FROM tag_names ORDER BY 1")
        project.succeed("create_backup")
        execute(project, f"UPDATE {TABLE} SET name = concat(name, '!')")
        for command in (("drill_restore",), ("restore_from_package", "--confirm")):
            project.succeed(*command)
            assert structure(project) == before
        assert execute(project, "SELECT * FROM tag_names ORDER BY 1") == tags
        (warning,) = [
            line
            for line in project.json("backup_cycle", "--rebuild")["warnings"]
            if "no migration makes" in line
        ]
        for name in ("column upper_name", "index by_upper_name", "check named"):
            assert f"{name} of {TABLE}" in warning
        project.succeed("undo_restore", "--confirm")
        assert structure(project) == before
        assert execute(project, f"SHOW GRANTS FOR {user}") == grants
        assert [row[1] for row in execute(project, "SHOW EVENTS")] == ["tidy"]
    finally:
        execute(project, f"DROP USER {user}")
