"""What an administrator added to live's tables is there after a reset and a cycle."""

import sqlite3
from contextlib import closing

import psycopg
import pytest

from tests.acceptance.test_mariadb_as_found import execute, structure
from tests.integration.engines.every_object import but_for_arrays, pg_dump
from tests.services import EVERY_ENGINE, MakeProject, Project

POSTGRES = """
CREATE ROLE {reader}; CREATE ROLE {owner}; GRANT CREATE, USAGE ON SCHEMA public TO {owner};
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE INDEX by_length ON documents_tag (length(name)) WHERE name IN ('a', 'b');
ALTER TABLE documents_tag ADD weight integer NOT NULL DEFAULT 5,
    ADD CONSTRAINT named CHECK (name <> 'nothing') NOT VALID;
COMMENT ON TABLE documents_tag IS 'ours'; COMMENT ON COLUMN documents_tag.name IS 'its name';
CREATE TRIGGER touched BEFORE UPDATE ON documents_tag FOR EACH ROW EXECUTE FUNCTION touch();
ALTER TABLE documents_tag DISABLE TRIGGER touched;
ALTER TABLE documents_tag ENABLE ROW LEVEL SECURITY;
CREATE POLICY short ON documents_tag TO {reader} USING (length(name) < 20);
CREATE RULE quiet AS ON UPDATE TO documents_comment DO ALSO NOTHING;
ALTER TABLE documents_comment REPLICA IDENTITY FULL;
ALTER TABLE documents_comment SET (fillfactor = 70, autovacuum_enabled = false);
CREATE STATISTICS spread ON id, name FROM documents_tag;
GRANT SELECT (name), UPDATE (name) ON documents_tag TO {reader};
GRANT SELECT ON users_user TO {reader};
ALTER TABLE documents_comment OWNER TO {owner};
CREATE VIEW names AS SELECT name FROM documents_tag;
CREATE MATERIALIZED VIEW kept AS SELECT id, name FROM documents_tag;
CREATE UNIQUE INDEX kept_key ON kept (id); GRANT SELECT ON kept TO {reader};
CREATE SCHEMA theirs; CREATE TABLE theirs.note (tag bigint REFERENCES documents_tag);
"""
MARIADB = """
CREATE INDEX by_name_only ON documents_tag (name(5));
ALTER TABLE documents_tag ADD COLUMN weight integer NOT NULL DEFAULT 5,
    ADD CONSTRAINT named CHECK (name <> 'nothing'), COMMENT 'ours',
    ADD COLUMN upper_name varchar(60) AS (upper(name)) VIRTUAL
"""
SQLITE = """
CREATE INDEX by_length ON documents_tag (length(name)) WHERE name IN ('a', 'b');
CREATE TABLE heard (name text); CREATE VIEW names AS SELECT name FROM documents_tag;
CREATE TRIGGER touched AFTER UPDATE ON documents_tag BEGIN INSERT INTO heard VALUES (new.name); END
"""


def add(project: Project) -> None:
    """Do what administrators do."""
    if project.engine == "postgres":
        with psycopg.connect(project.database_url, autocommit=True) as client:
            client.execute(POSTGRES.format(**roles(project)))
    elif project.engine == "mariadb":
        execute(project, *MARIADB.split(";"))
    else:
        with closing(sqlite3.connect(project.database)) as client:
            client.executescript(SQLITE)


def roles(project: Project) -> dict[str, str]:
    return {name: f"{name}_{project.database_name[-12:]}" for name in ("reader", "owner")}


def remove_roles(project: Project) -> None:
    with psycopg.connect(project.database_url, autocommit=True) as client:
        for role in roles(project).values():
            client.execute(f"DROP OWNED BY {role} CASCADE")
            client.execute(f"DROP ROLE {role}")


def schema(project: Project) -> list[str]:
    """The structure of live, as the database's own means tell it."""
    if project.engine == "postgres":
        return but_for_arrays(pg_dump(project))
    if project.engine == "mariadb":
        return sorted(structure(project).values())
    with closing(sqlite3.connect(project.database)) as client:
        found = client.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
    return sorted(sql for (sql,) in found)


@pytest.mark.slow
@pytest.mark.parametrize("engine", EVERY_ENGINE)
def test_it_is_there_after_a_reset_and_a_cycle_and_lost_only_if_asked_for(
    make_project: MakeProject, engine: str
) -> None:
    project = make_project(engine, demo=True)
    add(project)
    try:
        before = schema(project)

        project.succeed("system_reinit", "--confirm")
        assert schema(project) == before
        project.succeed("undo_restore", "--confirm")
        assert schema(project) == before

        done = project.json("backup_cycle", "--promote")
        assert done["ok"], done["errors"]
        assert schema(project) == before
        assert not [line for line in done["warnings"] if "no migration makes" in line]

        if engine == "sqlite":  # its tables stay: only rows are replaced
            return
        rebuilt = project.json("backup_cycle", "--rebuild")
        assert rebuilt["ok"], rebuilt["errors"]
        (warning,) = [line for line in rebuilt["warnings"] if "no migration makes" in line]
        assert "documents_tag" in warning
        assert schema(project) == before
    finally:
        if engine == "postgres":
            remove_roles(project)
