"""Locks of a snapshot on PostgreSQL: without them it loses rows that others TRUNCATE later."""

import threading
import time

import psycopg
import pytest
from django.db import connections

from tests.integration.engines.live_database import LiveDatabase
from tests.integration.engines.test_staging_schemas import count


@pytest.fixture
def engine() -> str:
    return "postgres"


def test_nobody_empties_a_table_that_a_backup_has_not_read_yet(database: LiveDatabase) -> None:
    with database.client() as other:
        other.execute("SET lock_timeout = '200ms'")
        with database.engine.snapshot(["probe", "moon"]):
            for statement in ("TRUNCATE probe", "ALTER TABLE moon ALTER gen TYPE bigint"):
                with pytest.raises(psycopg.errors.LockNotAvailable):
                    other.execute(statement)
            assert count("moon") == 2


def test_a_snapshot_is_taken_after_a_table_was_emptied_not_while(database: LiveDatabase) -> None:
    """It locks before it sees: otherwise it would have neither the old rows nor the new one."""
    seen: list[int] = []

    def look() -> None:
        with database.engine.snapshot(["probe"]):
            seen.append(count("probe"))
        connections["default"].close()

    with database.client() as other, other.transaction():
        other.execute("TRUNCATE probe")
        looking = threading.Thread(target=look)
        looking.start()
        while not other.execute("SELECT 1 FROM pg_locks WHERE NOT granted").fetchone():
            time.sleep(0.02)
        other.execute("INSERT INTO probe (moon_id) SELECT min(id) FROM moon")
    looking.join(20)

    assert seen == [1]


def test_a_table_that_is_not_there_is_not_locked(database: LiveDatabase) -> None:
    with database.engine.snapshot(["moon", "no_such_table"]):
        assert count("moon") == 2
