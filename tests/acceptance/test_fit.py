"""A backup ends with a look whether its package could be restored into its own database."""

from contextlib import closing
from sqlite3 import connect

import psycopg
import pytest

from tests.services import MakeProject, Project


def assert_is_told_and_kept(project: Project, cause: str) -> str:
    """Back up, which fails by the cause; return the run. A drill says the same."""
    made = project.json("create_backup")

    (error,) = made["errors"]
    assert (error["kind"], error["exit_code"]) == ("DoesNotFit", 8)
    assert error["what"].startswith("a restore of the package would be refused here: ")
    assert cause in error["what"]
    project.succeed("verify_package", made["package"])
    assert project.json("list_packages")["last_good"]["name"] == made["package"]
    reasons = {each["reason"] for each in project.json("backup_status")["reasons"]}
    assert "run_failed" in reasons
    assert cause in project.json("drill_restore")["errors"][0]["what"]
    return str(made["run"])


def test_a_backup_that_postgresql_could_not_be_restored_from_says_so(
    make_project: MakeProject,
) -> None:
    project = make_project("postgres")
    with psycopg.connect(project.database_url, autocommit=True) as server:
        server.execute("CREATE PUBLICATION outward FOR ALL TABLES")
        run = assert_is_told_and_kept(project, "publication outward")
        server.execute("DROP PUBLICATION outward")

        project.succeed("resume_run", run)

        left = "SELECT nspname FROM pg_namespace WHERE nspname LIKE 'staging%'"
        assert server.execute(left).fetchall() == []


def test_a_backup_that_sqlite_could_not_be_restored_from_says_so(
    make_project: MakeProject,
) -> None:
    """The table can only be made where a connection has a function that Django's have not."""
    project = make_project("sqlite")
    with closing(connect(project.database, isolation_level=None)) as client:
        client.create_function("twice", 1, lambda value: value, deterministic=True)
        client.execute("CREATE INDEX by_twice ON documents_tag (twice(name))")
        made = project.json("create_backup")
        assert "twice" in made["errors"][0]["what"]
        project.succeed("verify_package", made["package"])
        client.execute("DROP INDEX by_twice")

    project.succeed("resume_run", made["run"])
    assert not list(project.database.parent.glob("*staging*"))


@pytest.mark.parametrize("kind", ["files", "database"])
def test_a_part_is_looked_at_too(make_project: MakeProject, kind: str) -> None:
    project = make_project("sqlite")

    made = project.json("create_backup", "--type", kind)

    assert made["ok"]
