"""PostgreSQL as operators have it: a role with no privileges of its own, and an extension."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg
import pytest

from edms.local.postgres import PostgresServer
from tests.acceptance.contents import contents, control
from tests.acceptance.every_command import assert_equal, cycle
from tests.services import MakeProject, Project


@pytest.fixture
def owned(postgres: PostgresServer, tmp_path: Path) -> Iterator[Project]:
    """An EDMS that its role has made, on a database that it owns."""
    role, name = f"app_{uuid4().hex[:8]}", postgres.new_name()
    with psycopg.connect(postgres.url, autocommit=True) as server:
        server.execute(
            f"CREATE ROLE {role} LOGIN PASSWORD '{role}' NOSUPERUSER NOCREATEDB NOCREATEROLE"
        )
        server.execute(f"CREATE DATABASE {name} OWNER {role}")
    at = urlsplit(postgres.database_url(name))
    url = at._replace(netloc=f"{role}:{role}@{at.hostname}:{at.port}").geturl()
    project = Project(engine="postgres", folder=tmp_path, database_url=url)
    try:
        project.succeed("migrate", "--no-input", "--verbosity", "0")
        project.succeed("seed_demo")
        yield project
    finally:
        with psycopg.connect(postgres.url, autocommit=True) as server:
            server.execute(f"DROP DATABASE {name} WITH (FORCE)")
            server.execute(f"DROP ROLE {role}")


def test_the_owner_of_the_database_needs_no_further_privilege(
    owned: Project, tmp_path: Path
) -> None:
    cycle(owned, owned, tmp_path / "x.tar.zst")


def test_tables_that_use_an_extension_are_replaced_and_the_extension_stays(
    make_project: MakeProject, tmp_path: Path
) -> None:
    """An extension in live's schema: its types and functions are of the tables' columns."""
    project = make_project("postgres", demo=True)
    with psycopg.connect(project.database_url, autocommit=True) as server:
        server.execute("CREATE EXTENSION citext")
        server.execute("ALTER TABLE documents_tag ALTER COLUMN name TYPE citext")
        server.execute("CREATE INDEX folded ON documents_tag (lower(name::text))")

    before, package = contents(project), tmp_path / "x.tar.zst"

    project.succeed("create_backup", "--output", package)
    project.succeed("restore_from_package", package, "--confirm")
    assert_equal(contents(project), before)
    project.succeed("undo_restore", "--confirm")
    assert_equal(contents(project), before)

    with psycopg.connect(project.database_url) as server:
        folded = "name = upper(name)::citext"
        found = server.execute(f"SELECT count(*) FROM documents_tag WHERE {folded}")
        assert found.fetchone() == (before.count("documents_tag"),)


def test_rows_that_a_policy_hides_from_the_role_stop_a_backup_before_anything_is_written(
    owned: Project, tmp_path: Path
) -> None:
    """Without this a backup holds the rows that the policy shows, and is equal to itself."""
    package = tmp_path / "before.tar.zst"
    owned.succeed("create_backup", "--output", package)
    with psycopg.connect(owned.database_url, autocommit=True) as owner:
        owner.execute("ALTER TABLE documents_tag ENABLE ROW LEVEL SECURITY")
        owner.execute("CREATE POLICY part ON documents_tag USING (id % 2 = 0)")
        owned.succeed("create_backup", "--output", tmp_path / "owner.tar.zst")
        owner.execute("ALTER TABLE documents_tag FORCE ROW LEVEL SECURITY")

    refused = [
        owned.json("create_backup", "--output", tmp_path / "forced.tar.zst"),
        owned.json("restore_from_package", package, "--confirm", "--no-safety-backup"),
        owned.json("restore_from_package", package, "--dry-run"),
    ]

    for answer in refused:
        (error,) = answer["errors"]
        assert "documents_tag" in error["what"]
        assert "BYPASSRLS" in error["hint"]
        assert error["exit_code"] == 2
    assert not (tmp_path / "forced.tar.zst").exists()


@pytest.mark.slow
def test_every_command_works_where_the_search_path_leads_to_another_schema_first(
    make_project: MakeProject, tmp_path: Path
) -> None:
    """Live is the schema of django_migrations; the tables of runs may be in another one."""
    project = make_project("postgres", demo=True)
    name = project.database_url.rpartition("/")[2]
    with psycopg.connect(project.database_url, autocommit=True) as server:
        server.execute("CREATE SCHEMA app")
        for table in control(project):
            server.execute(f"ALTER TABLE {table} SET SCHEMA app")
        server.execute(f'ALTER DATABASE "{name}" SET search_path = app, public')

    cycle(project, project, tmp_path / "x.tar.zst")
    project.succeed("backup_cycle", "--promote")


def test_a_model_whose_table_is_in_another_schema_is_named_by_a_backup(
    make_project: MakeProject, tmp_path: Path
) -> None:
    project = make_project("postgres", demo=True)
    name = project.database_url.rpartition("/")[2]
    with psycopg.connect(project.database_url, autocommit=True) as server:
        server.execute("CREATE SCHEMA app")
        server.execute("ALTER TABLE documents_tag SET SCHEMA app")
        server.execute(f'ALTER DATABASE "{name}" SET search_path = app, public')

    (error,) = project.json("create_backup", "--output", tmp_path / "x.tar.zst")["errors"]

    assert "documents.tag (table app.documents_tag)" in error["what"]
    assert error["exit_code"] == 2
    assert not (tmp_path / "x.tar.zst").exists()
