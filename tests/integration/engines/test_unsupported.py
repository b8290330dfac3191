"""Databases that can't be backed up are refused in words by check, and before anything is done."""

import re
from collections.abc import Iterator
from pathlib import Path

import pymysql
import pytest
from django.core.management import CommandError, call_command
from django.db import connections
from django.db.backends.postgresql.base import DatabaseWrapper as PostgreSQLWrapper
from django.db.utils import ConnectionHandler
from pytest_django import DjangoDbBlocker

from backup_tasks.checks.locations import check_engine, check_staging
from backup_tasks.engines import engine_for
from backup_tasks.errors import Misconfigured
from edms.local.mariadb import connected
from tests.integration.engines.live_database import LiveDatabase, run_all
from tests.integration.engines.mysql_server import mysql_program, mysql_server
from tests.services import Project


class TenantsWrapper(PostgreSQLWrapper):
    """As django-tenants has it."""

    __module__ = "django_tenants.postgresql_backend.base"


@pytest.fixture
def mysql(django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """MySQL 8.4, by what it says of itself. No server answers: no query is sent."""
    pymysql.install_as_MySQLdb()
    settings_dict = {"ENGINE": "django.db.backends.mysql", "NAME": "shop", "PORT": "1"}
    connection = ConnectionHandler({"default": settings_dict})["default"]
    connection.mysql_server_data = {"version": "8.4.3"}  # type: ignore[attr-defined]  # it is cached
    before = connections["default"]
    connections["default"] = connection
    try:
        with django_db_blocker.unblock():
            yield
    finally:
        connections["default"] = before


COMMANDS = (
    ("create_backup",),
    ("drill_restore",),
    ("restore_from_package", "x", "--type", "full", "--confirm"),
    ("system_reinit", "--confirm"),
)


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.usefixtures("mysql")
def test_mysql_is_refused_before_anything_is_done(command: tuple[str, ...]) -> None:
    with pytest.raises(CommandError, match=r"MySQL 8\.4\.3 is not supported") as refused:
        call_command(*command, skip_checks=True)

    assert refused.value.returncode == 2
    assert "mysqldump" in str(refused.value)


@pytest.mark.usefixtures("mysql")
def test_mysql_is_an_error_of_check_where_databases_are_asked() -> None:
    (message,) = check_staging(databases=["default"])
    assert message.id == "backup_tasks.E008"
    assert "MySQL 8.4.3" in message.msg
    assert "MariaDB 10.6" in str(message.hint)


def test_a_real_mysql_is_refused_by_name_and_left_as_it_is(tmp_path: Path) -> None:
    program = mysql_program()
    if program is None:
        pytest.skip("no MySQL on PATH; `make matrix` puts one there")
    with mysql_server(program) as url:
        project = Project(engine="mysql", folder=tmp_path, database_url=url)
        for command in (*COMMANDS, ("check", "--database", "default")):
            done = project.manage(*command)
            assert done.returncode == (1 if "check" in command else 2)
            assert re.search(r"MySQL \d+\.\d+\.\d+ is not supported", done.stderr), done.stderr
        with connected(url) as cursor:
            cursor.execute("SHOW TABLES")
            assert cursor.fetchall() == ()


@pytest.mark.parametrize("engine", ["postgres"])
def test_a_backend_of_tenants_is_refused_with_the_names_of_their_schemas(
    database: LiveDatabase, tmp_path: Path
) -> None:
    run_all("CREATE SCHEMA acme; CREATE TABLE acme.django_migrations (id int)")
    before = connections["default"]
    connections["default"] = TenantsWrapper(before.settings_dict, "default")
    try:
        with pytest.raises(Misconfigured) as refused:
            engine_for("default")
        (message,) = check_engine()
    finally:
        connections["default"].close()
        connections["default"] = before
    assert "(acme, public)" in refused.value.what
    assert "--schema=NAME" in str(refused.value.hint)
    assert message.id == "backup_tasks.E008"
    assert "django_tenants" in message.msg
