"""An attempt that was stopped, and the one that has come since, in one staging (PostgreSQL)."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import OperationalError, connections

from backup_tasks.engines import engine_for
from backup_tasks.errors import HandoverChanged
from tests.integration.engines.live_database import TABLES, LiveDatabase, run_all
from tests.integration.engines.walled import look


@pytest.fixture(params=["postgres"])
def engine(request: pytest.FixtureRequest) -> str:
    """Other databases have no schemas."""
    name: str = request.param
    return name


@contextmanager
def zombie_in(walled: LiveDatabase) -> Iterator[Any]:
    """The connection of an attempt that is stopped, and does not know that another one has come."""
    connection = engine_for("default")._connection(walled.staging)  # type: ignore[attr-defined]
    connection.ensure_connection()
    try:
        yield connection
    finally:
        connection.close()


def tables_in_staging(walled: LiveDatabase) -> set[str]:
    listed = "SELECT tablename FROM pg_tables WHERE schemaname = %s"
    with walled.client() as client:
        return {name for (name,) in client.execute(listed, [walled.staging]).fetchall()}


def test_an_attempt_that_lost_its_step_does_nothing_in_the_staging_of_the_next(
    walled: LiveDatabase,
) -> None:
    with zombie_in(walled) as zombie:
        walled.engine.create(walled.staging)
        before = look(walled), tables_in_staging(walled)
        with pytest.raises(HandoverChanged), zombie.cursor() as cursor:
            cursor.execute("CREATE TABLE planet (id int)")
    assert (look(walled), tables_in_staging(walled)) == before


@pytest.mark.parametrize(
    "text",
    [
        "CREATE TABLE comet (id int)",
        "ALTER TABLE planet ADD mass int",
        "INSERT INTO planet (name) VALUES ('x')",
        "SELECT * FROM planet",
    ],
)
def test_a_new_attempt_does_not_wait_for_one_that_is_stopped_in_a_transaction(
    walled: LiveDatabase, text: str
) -> None:
    with zombie_in(walled) as zombie:
        zombie.set_autocommit(False)
        with zombie.cursor() as cursor:
            cursor.execute(text)

        began = time.monotonic()
        assert walled.engine.clone(walled.staging, TABLES) == []

        assert time.monotonic() - began < 10
        with pytest.raises(OperationalError):
            zombie.commit()
    with walled.engine.at(walled.staging), connections["default"].cursor() as cursor:
        cursor.execute("SELECT count(*) FROM planet")
        assert cursor.fetchall() == [(0,)]


def test_an_attempt_stopped_before_it_migrates_does_not_go_on_in_the_schema_of_the_next(
    walled: LiveDatabase,
) -> None:
    stopped, following = engine_for("default"), engine_for("default")
    stopped.create(walled.staging)
    following.create(walled.staging)
    with pytest.raises(HandoverChanged), stopped.at(walled.staging):
        run_all("CREATE TABLE planet (id int)")
    with following.at(walled.staging):
        run_all("CREATE TABLE planet (id int)")
