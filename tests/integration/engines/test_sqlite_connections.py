"""SQLite: staging's connections are Django's and the project's own, and nothing leaves staging."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from django.db import DatabaseError, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

from backup_tasks.errors import LeftStaging
from tests.integration.engines.live_database import TABLES, LiveDatabase, run_all

pytestmark = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)


@pytest.fixture
def own_functions() -> Iterator[None]:
    """What a project adds to its connections."""

    def add(connection: BaseDatabaseWrapper, **_: Any) -> None:
        driver = connection.connection
        driver.create_collation("backwards", lambda a, b: (a < b) - (a > b))
        driver.create_function("twice", 1, lambda number: number * 2, deterministic=True)

    connection_created.connect(add)
    connections["default"].close()
    yield
    connection_created.disconnect(add)


@pytest.mark.usefixtures("own_functions")
def test_functions_and_collations_of_django_and_the_project_are_there(
    database: LiveDatabase,
) -> None:
    """T29: constraints, generated columns and indexes use them."""
    run_all(
        "CREATE TABLE star (id integer PRIMARY KEY, name text COLLATE backwards"
        " CHECK (name REGEXP '^[a-z]+$'), born date,"
        " year integer GENERATED ALWAYS AS (django_date_extract('year', born)) STORED,"
        " pair integer GENERATED ALWAYS AS (twice(id)) VIRTUAL);"
        "CREATE UNIQUE INDEX star_by_name ON star (name);"
        "CREATE INDEX star_by_year ON star (django_date_extract('year', born), twice(id));"
        "INSERT INTO star (id, name, born) VALUES (1, 'vega', '2020-02-02')"
    )
    tables = ["star", *TABLES]
    with connections["default"].cursor() as cursor:
        cursor.execute("SELECT sql FROM sqlite_master WHERE tbl_name = 'star'")
        before = cursor.fetchall()
    engine = database.engine

    assert engine.clone(database.staging, tables) == []
    with engine.at(database.staging):
        with engine.loading(["star"], attempt=1):
            engine.copy_from_live(["star"])
        run_all("UPDATE star SET name = 'sirius'")
    database.rehearse(["star"])
    engine.promote(
        database.staging, tables=["star"], apps=[], keep=database.undo, record=lambda: None
    )

    with connections["default"].cursor() as cursor:
        cursor.execute("SELECT name, year, pair FROM star")
        assert cursor.fetchall() == [("sirius", 2020, 2)]
        cursor.execute("SELECT sql FROM sqlite_master WHERE tbl_name = 'star'")
        assert cursor.fetchall() == before
    with engine.at(database.undo), connections["default"].cursor() as cursor:
        cursor.execute("SELECT name FROM star WHERE name REGEXP 'v'")
        assert cursor.fetchall() == [("vega",)]


def test_rows_are_copied_from_live_as_they_are_stored(database: LiveDatabase) -> None:
    """T29: Django's converters would make 0 of 't', and NULL of a date with a time."""
    stored = [("t", "2020-02-02 10:00", "19.999", "2020-02-02T10:00:00.1234567")]
    with database.client() as client:
        client.execute("CREATE TABLE odd (a bool, b date, c decimal, d datetime)")
        client.executemany("INSERT INTO odd VALUES (?, ?, ?, ?)", stored)
        kept = client.execute("SELECT *, typeof(a), typeof(b), typeof(c) FROM odd").fetchall()
    database.engine.clone(database.staging, ["odd"])
    with (
        database.engine.at(database.staging),
        database.engine.loading(["odd"], attempt=1),
    ):
        database.engine.copy_from_live(["odd"])
    with closing(sqlite3.connect(database.staging)) as client:
        copied = client.execute("SELECT *, typeof(a), typeof(b), typeof(c) FROM odd").fetchall()
    assert copied == kept


# The wall


@pytest.mark.parametrize("hidden", [False, True])
def test_live_can_not_be_attached_in_staging(database: LiveDatabase, hidden: bool) -> None:
    database.make_staging()
    before = database.live()

    def attach() -> None:
        with database.engine.at(database.staging), connections["default"].cursor() as cursor:
            try:
                cursor.execute("ATTACH DATABASE %s AS other", [str(database.project.database)])
                cursor.execute("UPDATE other.planet SET gen = 99")
            except DatabaseError:
                if not hidden:
                    raise

    with pytest.raises(LeftStaging, match="ATTACH"):
        attach()
    assert database.live() == before


def test_staging_can_be_vacuumed(database: LiveDatabase) -> None:
    database.make_staging()
    with database.engine.at(database.staging):
        run_all("VACUUM")


def test_what_the_project_attaches_at_every_connection_can_only_be_read(
    database: LiveDatabase, tmp_path: Any
) -> None:
    other = tmp_path / "other.sqlite3"
    with closing(sqlite3.connect(other)) as made:
        made.execute("CREATE TABLE t AS SELECT 1 AS a")

    def attach(connection: BaseDatabaseWrapper, **_: Any) -> None:
        connection.connection.execute("ATTACH DATABASE ? AS other", [str(other)])

    database.make_staging()
    connection_created.connect(attach)
    try:
        with database.engine.at(database.staging), connections["default"].cursor() as cursor:
            cursor.execute("SELECT a FROM other.t")
            assert cursor.fetchone() == (1,)
            with pytest.raises(Exception, match="readonly"):
                cursor.execute("DELETE FROM other.t")
    finally:
        connection_created.disconnect(attach)


def test_another_alias_of_live_can_only_be_read_while_staging_is_built(
    database: LiveDatabase,
) -> None:
    """T19: two aliases can name one file."""
    database.make_staging()
    before = database.live()
    other = connections["default"].copy("other")
    connections.settings["other"] = connections.settings["default"]
    connections["other"] = other
    try:
        with database.engine.at(database.staging), other.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM planet")
            with pytest.raises(LeftStaging, match="other"):
                cursor.execute("UPDATE planet SET gen = 99")
        with other.cursor() as cursor:
            cursor.execute("UPDATE ledger SET entry = entry")
    finally:
        other.close()
        del connections["other"]
        del connections.settings["other"]
    assert database.live() == before
