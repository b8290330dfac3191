"""Code whose migrations live has not had: said before anything is done, in a dry run as well."""

import pytest
from django.db import connection

from backup_tasks.models import Run
from tests.services import Project
from tests.unit.runs.test_commands import run_command

COMMANDS = [
    ("create_backup",),
    ("backup_cycle",),
    ("restore_from_package", "x.tar.zst", "--confirm"),
    ("restore_from_package", "x.tar.zst", "--dry-run", "--mode", "merge"),
    ("system_reinit", "--confirm"),
    ("system_reinit", "--dry-run"),
]


def unapply(statement: str) -> str:
    """Let live be as it was before the last migration of the users' app."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT max(name) FROM django_migrations WHERE app = 'users'")
        (name,) = cursor.fetchone()
        cursor.execute("DELETE FROM django_migrations WHERE app = 'users' AND name = %s", [name])
        if statement:
            cursor.execute(statement)
    return f"users.{name}"


def test_a_column_that_live_lacks_is_told_with_its_migration_before_anything_begins(
    on_project: Project,
) -> None:
    migration = unapply("ALTER TABLE users_department DROP COLUMN name")
    for command in COMMANDS:
        code, _, err = run_command(*command)
        assert code == 2, command
        assert "users_department.name" in err
        assert migration in err
        assert "manage.py migrate" in err
    assert not Run.objects.exists()


def test_a_dry_run_of_a_restore_shows_the_newest_package_and_tells_it_then(
    on_project: Project,
) -> None:
    assert run_command("create_backup")[0] == 0
    migration = unapply("ALTER TABLE users_department DROP COLUMN name")

    code, out, err = run_command("restore_from_package", "--dry-run")

    assert code == 2
    assert "users.department" in out
    assert "users_department.name" in err
    assert migration in err
    assert "manage.py migrate" in err


@pytest.mark.parametrize("command", [("system_reinit", "--dry-run")])
def test_a_migration_that_adds_no_column_is_no_obstacle(
    on_project: Project, command: tuple[str, ...]
) -> None:
    unapply("")
    assert run_command(*command)[0] == 0
