"""A publication names the new tables after a promote, and a subscriber gets rows again (T25)."""

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from pytest_django import DjangoDbBlocker

from edms.local import postgres as local
from tests.integration.engines.live_database import (
    SCHEMA,
    TABLES,
    LiveDatabase,
    make_live_database,
    run_all,
    server_or_file,
)
from tests.services import as_default_database

PLANETS = "SELECT id, name FROM planet ORDER BY id"
MEMBERS = """
    SELECT schemaname || '.' || tablename, {} FROM pg_publication_tables
     WHERE pubname = 'sky' ORDER BY 1
"""


@pytest.fixture
def published(
    tmp_path: Path, django_db_blocker: DjangoDbBlocker, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[LiveDatabase, Any]]:
    """Live on a server that can be replicated from, and a client of a subscriber's database."""
    monkeypatch.setitem(local.OPTIONS, "wal_level", "logical")
    folder = Path(tempfile.mkdtemp(prefix="edms-postgres-"))
    try:
        with local.private_postgres(folder) as server:
            project = server_or_file("postgres", tmp_path, server.create_database("live"))
            there = server.create_database("there")
            with (
                psycopg.connect(there, autocommit=True) as subscriber,
                django_db_blocker.unblock(),
                as_default_database(project),
            ):
                subscriber.execute(SCHEMA["postgres"])
                yield make_live_database(project), subscriber
    finally:
        shutil.rmtree(folder)


def subscribe(database: LiveDatabase, subscriber: Any) -> None:
    """The slot is made apart: both databases are on one server."""
    run_all("SELECT pg_create_logical_replication_slot('sub', 'pgoutput')")
    subscriber.execute(
        f"CREATE SUBSCRIPTION sub CONNECTION '{database.project.database_url}' PUBLICATION sky"
        " WITH (create_slot = false)"
    )


def unsubscribe(database: LiveDatabase, subscriber: Any) -> None:
    subscriber.execute("ALTER SUBSCRIPTION sub DISABLE")
    subscriber.execute("ALTER SUBSCRIPTION sub SET (slot_name = NONE)")
    subscriber.execute("DROP SUBSCRIPTION sub")

    def dropped() -> bool:
        with database.client() as client:
            found = client.execute("SELECT active FROM pg_replication_slots").fetchall()
        return bool(found == [(False,)])

    await_that(dropped)
    run_all("SELECT pg_drop_replication_slot('sub')")


def has_filters(database: LiveDatabase) -> bool:
    """Whether publications have lists of columns, filters of rows and whole schemas."""
    with database.client() as client:
        return bool(client.info.server_version >= 150000)


def await_that(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not happened():
        assert time.monotonic() < deadline, "the subscriber did not get there"
        time.sleep(0.05)


def test_a_subscriber_that_copies_again_gets_rows_after_a_restore_and_after_an_undo(
    published: tuple[LiveDatabase, Any],
) -> None:
    database, subscriber = published
    if has_filters(database):
        listed, asked = (
            " (id, name) WHERE (id < 1000)",
            MEMBERS.format("attnames::text[], rowfilter"),
        )
        expected: list[tuple[Any, ...]] = [
            ("public.moon", ["id", "gen", "planet_id"], None),
            ("public.planet", ["id", "name"], "(id < 1000)"),
        ]
        shown = PLANETS.replace("ORDER", "WHERE id < 1000 ORDER")
    else:
        listed, asked, shown = "", MEMBERS.format("NULL, NULL"), PLANETS
        expected = [("public.moon", None, None), ("public.planet", None, None)]
    run_all(f"CREATE PUBLICATION sky FOR TABLE moon, ONLY planet{listed}")
    subscribe(database, subscriber)

    def is_equal() -> bool:
        with database.client() as client:
            mine = client.execute(shown).fetchall()
        return bool(subscriber.execute(PLANETS).fetchall() == mine)

    def assert_members_are_as_before() -> None:
        with database.client() as client:
            assert client.execute(asked).fetchall() == expected

    await_that(is_equal)
    assert_members_are_as_before()
    assert database.engine.clone(database.staging, [*TABLES, "probe"]) == []
    with database.engine.at(database.staging), database.engine.loading(TABLES, attempt=1):
        database.engine.write("planet", ["id", "name"], [[n, f"other {n}"] for n in (10, 30, 2000)])
        database.engine.write("moon", ["id", "gen", "planet_id"], [[100, 2, 10]])

    for schema, keep, added in (
        (database.staging, database.undo, 40),
        (database.undo, "undo_2", 50),
    ):
        database.promote(schema, keep)
        assert database.engine.publications(TABLES) == ["sky"]
        assert_members_are_as_before()
        subscriber.execute("ALTER SUBSCRIPTION sub REFRESH PUBLICATION")
        assert not is_equal(), "REFRESH PUBLICATION would have been enough"

        unsubscribe(database, subscriber)
        subscriber.execute("TRUNCATE planet, moon, probe")
        subscribe(database, subscriber)
        await_that(is_equal)
        run_all(f"INSERT INTO planet (id, name) VALUES ({added}, 'written since')")
        await_that(is_equal)

    assert database.engine.discard("undo_2") == []
    unsubscribe(database, subscriber)


def test_a_publication_of_the_schema_or_of_a_partition_is_found(
    published: tuple[LiveDatabase, Any],
) -> None:
    database, _ = published
    run_all(
        "CREATE TABLE event (day date) PARTITION BY RANGE (day);"
        "CREATE TABLE event_rest PARTITION OF event DEFAULT;"
        "CREATE PUBLICATION parts FOR TABLE event_rest; CREATE PUBLICATION none"
    )
    if wide := ["wide"] if has_filters(database) else []:
        run_all("CREATE PUBLICATION wide FOR TABLES IN SCHEMA public")

    assert database.engine.publications(["planet"]) == wide
    assert database.engine.publications(["event"]) == ["parts", *wide]
    assert database.engine.publications([]) == []
