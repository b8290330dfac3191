"""The transaction of a merge on MariaDB: what it locks, and what it checks at its end."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import ProgrammingError, connections

from backup_tasks.engines.mariadb import engine as mariadb
from backup_tasks.errors import DoesNotFit, LockNotGranted
from tests.integration.engines.live_database import LiveDatabase, run_all

pytestmark = pytest.mark.parametrize("engine", ["mariadb"])


@contextmanager
def merging(database: LiveDatabase, *tables: str) -> Iterator[Any]:
    """Give a cursor in the transaction of a merge that writes to the tables."""
    with (
        database.engine.merge_transaction(database.staging, writing=tables),
        connections["default"].cursor() as cursor,
    ):
        yield cursor


def refused(database: LiveDatabase, statement: str) -> str:
    """Execute it as a client that does not wait for locks; return the server's error."""
    with database.client() as client:
        client.execute("SET innodb_lock_wait_timeout = 0")
        with pytest.raises(Exception, match="Lock wait timeout") as error:
            client.execute(statement)
    return str(error.value)


def test_nobody_else_writes_to_the_tables_and_their_parents_and_everybody_reads(
    database: LiveDatabase,
) -> None:
    database.make_staging()
    before = database.live()
    with merging(database, "moon") as cursor:
        cursor.execute("UPDATE moon SET gen = 5")
        for statement in (
            "INSERT INTO moon (id, gen, planet_id) VALUES (99, 1, 10)",
            "INSERT INTO moon (id, gen, planet_id) VALUES (999, 1, 10)",
            "UPDATE moon SET gen = 7 WHERE id = 100",
            "DELETE FROM planet WHERE id = 20",
        ):
            assert refused(database, statement)
        with database.client() as client:
            client.execute("INSERT INTO ledger (entry) VALUES ('mine')")
        assert database.live()["moon"] == before["moon"]
    assert {row[1] for row in database.live()["moon"]} == {5}


def test_a_row_that_a_client_holds_ends_the_merge_and_its_locks(
    database: LiveDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mariadb, "_LOCK_TRIES", 2)
    monkeypatch.setattr(mariadb, "_LOCK_SECONDS", 0)
    database.make_staging()
    with database.client() as client:
        client.execute("BEGIN")
        client.execute("UPDATE planet SET gen = 3")
        with pytest.raises(LockNotGranted), merging(database, "moon", "planet"):
            raise AssertionError("it got the lock")
        with database.client() as other:
            other.execute("SET innodb_lock_wait_timeout = 0")
            other.execute("UPDATE moon SET gen = gen")
        client.execute("COMMIT")
    with merging(database, "moon", "planet"):
        assert refused(database, "UPDATE planet SET gen = 4")


def test_rows_outside_that_would_refer_to_nothing_end_the_merge(database: LiveDatabase) -> None:
    """The server does not check foreign keys while rows are written in any order."""
    database.make_staging()
    before = database.live()
    with pytest.raises(DoesNotFit, match="1 of probe to moon"), merging(database, "moon") as cursor:
        cursor.execute("UPDATE moon SET id = 500 WHERE id = 100")
    assert database.live() == before

    with merging(database, "moon") as cursor:  # in any order
        cursor.execute("UPDATE moon SET planet_id = 30 WHERE id = 100")
        cursor.execute("INSERT INTO planet (id, name) VALUES (30, 'new')")
    assert (100, 1, 30) in database.live()["moon"]


def test_a_reference_that_led_nowhere_before_does_not_end_it(database: LiveDatabase) -> None:
    database.make_staging()
    run_all("SET foreign_key_checks = 0; DELETE FROM moon WHERE id = 100")
    connections["default"].close()
    with merging(database, "moon") as cursor:
        cursor.execute("UPDATE moon SET gen = 5")
    assert {row[1] for row in database.live()["moon"]} == {5}


def test_what_a_rehearsal_reads_is_not_locked(database: LiveDatabase) -> None:
    database.make_staging()
    with (
        database.engine.merge_transaction(database.staging, writing=None) as staging,
        connections["default"].cursor() as cursor,
    ):
        cursor.execute(
            f"CREATE TEMPORARY TABLE {staging}found SELECT m.id FROM {staging}moon s"
            " JOIN moon m ON m.id = s.id"
        )
        with database.client() as client:
            client.execute("SET innodb_lock_wait_timeout = 0")
            client.execute("UPDATE moon SET gen = 5")
        cursor.execute(f"SELECT id FROM {staging}found ORDER BY id")
        assert list(cursor.fetchall()) == [(100,), (101,)]


def test_keys_alone_are_loaded_however_many_columns_are_required(database: LiveDatabase) -> None:
    database.make_staging()
    with database.engine.at(database.staging):
        run_all("SET foreign_key_checks = 0; DELETE FROM planet")
        run_all("ALTER TABLE planet ADD COLUMN code varchar(9) NOT NULL UNIQUE CHECK (code <> '')")
        for attempt in (1, 2):
            with database.engine.loading(["planet"], attempt=attempt):
                database.engine.load_keys("planet", ["id", "name"], [[1, "one"], [2, "two"]])
            with connections["default"].cursor() as cursor:
                cursor.execute("SELECT id, name, gen, code FROM planet ORDER BY id")
                assert list(cursor.fetchall()) == [(1, "one", None, None), (2, "two", None, None)]


def test_a_session_of_its_own_leaves_nothing_behind(database: LiveDatabase) -> None:
    database.make_staging()
    with merging(database, "moon") as cursor:
        cursor.execute(f"CREATE TEMPORARY TABLE `{database.staging}`.mapping SELECT 1 AS p0")
    with connections["default"].cursor() as cursor:
        cursor.execute("SELECT @@foreign_key_checks")
        assert cursor.fetchone() == (1,)
        with pytest.raises(ProgrammingError, match="doesn't exist"):
            cursor.execute(f"SELECT * FROM `{database.staging}`.mapping")
