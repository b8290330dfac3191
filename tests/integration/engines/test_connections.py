"""Connections beside that of staging: other aliases of the database, and none to be had."""

from collections.abc import Iterator
from contextlib import nullcontext

import pytest
from django.db import connections, transaction

from backup_tasks.checks.locations import check_staging
from backup_tasks.engines import engine_for
from backup_tasks.engines.base import connection_replaced
from backup_tasks.errors import LeftStaging
from backup_tasks.steps.snapshot import _restore_refusals
from tests.integration.engines.live_database import LiveDatabase
from tests.integration.engines.walled import look


@pytest.fixture(params=["postgres"])
def engine(request: pytest.FixtureRequest) -> str:
    """Other databases have no schemas."""
    name: str = request.param
    return name


@pytest.fixture
def second(walled: LiveDatabase) -> Iterator[str]:
    """Another alias of the same database (T19)."""
    alias = "second"
    connections.settings[alias] = {**connections.settings["default"]}
    yield alias
    connections[alias].close()
    del connections[alias], connections.settings[alias]


def test_another_alias_only_reads_while_staging_is_built(walled: LiveDatabase, second: str) -> None:
    before = look(walled)

    def write(*, atomic: bool) -> None:
        with walled.engine.at(walled.staging), connections[second].cursor() as cursor:
            cursor.execute("SELECT count(*) FROM planet")
            assert cursor.fetchall() == [(2,)]
            with transaction.atomic(second) if atomic else nullcontext():
                cursor.execute("SELECT change()")

    for atomic in (True, False):
        with pytest.raises(LeftStaging, match="second"):
            write(atomic=atomic)
    assert look(walled) == before
    with transaction.atomic(second), connections[second].cursor() as cursor:
        with walled.engine.at(walled.staging):
            cursor.execute("SELECT count(*) FROM planet")
        cursor.execute("SELECT change()")
    assert {row[-1] for row in walled.live()["planet"]} == {8}


def test_a_project_that_could_not_be_restored_is_told_by_check_and_by_a_backup(
    walled: LiveDatabase,
) -> None:
    assert check_staging(databases=["default"]) == []
    walled.engine.rehearse_promote(())
    name = walled.project.database_name
    with walled.client() as admin:
        admin.execute(f'CREATE ROLE "{name}" LOGIN CONNECTION LIMIT 1')
    settings_dict = {**connections["default"].settings_dict, "USER": name}
    limited = type(connections["default"])(settings_dict, "default")
    try:
        with connection_replaced("default", limited):
            (told,) = check_staging(databases=["default"])
            assert told.id == "backup_tasks.W008"
            assert "too many connections" in told.msg
            (warning,) = _restore_refusals(engine_for("default"), ())
            assert "too many connections" in warning
    finally:
        with walled.client() as admin:
            admin.execute(f'DROP ROLE "{name}"')


def test_a_role_that_may_not_make_a_schema_is_told_by_check_and_by_a_backup(
    walled: LiveDatabase,
) -> None:
    name = walled.project.database_name
    with walled.client() as admin:
        admin.execute(f'CREATE ROLE "{name}" LOGIN')
        admin.execute(f'GRANT USAGE ON SCHEMA public TO "{name}"')
        admin.execute(f'GRANT SELECT ON ALL TABLES IN SCHEMA public TO "{name}"')
    settings_dict = {**connections["default"].settings_dict, "USER": name}
    reader = type(connections["default"])(settings_dict, "default")
    try:
        with connection_replaced("default", reader):
            (told,) = check_staging(databases=["default"])
            assert told.id == "backup_tasks.W008"
            assert "may not make schemas" in told.msg
            (warning,) = _restore_refusals(engine_for("default"), ())
            assert "may not make schemas" in warning
            assert "GRANT CREATE ON DATABASE" in str(told.hint)
    finally:
        with walled.client() as admin:
            admin.execute(f'DROP OWNED BY "{name}"; DROP ROLE "{name}"')
