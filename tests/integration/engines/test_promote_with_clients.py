"""Promote while others read, write, and hold locks."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connections

from backup_tasks.engines.mariadb import engine as mariadb
from backup_tasks.engines.postgresql import engine as postgresql
from backup_tasks.engines.postgresql import swap
from backup_tasks.errors import LockNotGranted
from tests.integration.engines.live_database import LiveDatabase, generations, run_all

# Others at work


@contextmanager
def working(database: LiveDatabase, work: Callable[[Any], None]) -> Iterator[list[BaseException]]:
    """Let another client do something over and over while the block lasts."""
    stop, wrong = threading.Event(), []
    started = threading.Event()

    def loop() -> None:
        try:
            with database.client() as client:
                while not stop.is_set():
                    work(client)
                    started.set()
        except BaseException as error:  # noqa: BLE001  # told to the test's own thread
            wrong.append(error)
            started.set()

    thread = threading.Thread(target=loop)
    thread.start()
    assert started.wait(20)
    try:
        yield wrong
    finally:
        stop.set()
        thread.join(30)


def wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_reader_never_sees_a_mixed_state(database: LiveDatabase) -> None:
    seen: list[set[int]] = []

    def read(client: Any) -> None:
        found = client.execute("SELECT gen FROM planet UNION SELECT gen FROM moon").fetchall()
        seen.append({gen for (gen,) in found})

    with working(database, read) as wrong:
        for generation in range(2, 7):
            database.make_staging(generation)
            keep = database.engine.schema_name("undo", f"restore-20261122T22335{generation}-abcde")
            database.promote(database.staging, keep)
            database.engine.drop(database.staging)
        wait_until(lambda: bool(wrong) or seen[-1] == {6})

    assert wrong == []
    assert all(len(found) == 1 for found in seen)
    assert seen[0] == {1}


def test_a_transaction_that_began_before_the_load_finds_no_empty_table(
    database: LiveDatabase,
) -> None:
    with database.client() as client:
        client.execute("BEGIN")
        if database.project.engine == "postgres":
            client.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        client.execute("SELECT 1")
        database.make_staging(2)
        database.promote(database.staging, database.undo)

        assert client.execute("SELECT DISTINCT gen FROM moon").fetchall() == [(2,)]

        client.execute("COMMIT")


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_without_a_write_ahead_log_readers_wait_and_see_no_error(database: LiveDatabase) -> None:
    """With the delete journal, Django's default, a writer that commits, or writes more than fits in
    memory, waits until the readers are done, and lets no new reader in."""
    connection = connections["default"]
    connection.close()
    connection.settings_dict["OPTIONS"].pop("init_command")
    with database.client() as client:
        assert client.execute("PRAGMA journal_mode = DELETE").fetchone() == ("delete",)
    database.make_staging(generation=2, moons=200_000)
    reads: list[tuple[float, set[int]]] = []

    def read(client: Any) -> None:
        began = time.monotonic()
        found = client.execute("SELECT gen FROM planet UNION SELECT gen FROM moon").fetchall()
        reads.append((time.monotonic() - began, {gen for (gen,) in found}))

    with working(database, read) as wrong:
        locked = database.promote(database.staging, database.undo)
        wait_until(lambda: bool(wrong) or reads[-1][1] == {2})

    assert wrong == []
    assert all(len(seen) == 1 for _, seen in reads)
    assert reads[0][1] == {1}
    assert max(took for took, _ in reads) < locked + 5
    with database.client() as client:
        assert client.execute("PRAGMA journal_mode").fetchone() == ("delete",)


def test_a_writer_goes_on_and_loses_nothing_that_it_wrote_outside(database: LiveDatabase) -> None:
    written = 0

    def write(client: Any) -> None:
        nonlocal written
        client.execute("INSERT INTO probe (moon_id) VALUES (100)")
        written += 1

    with working(database, write) as wrong:
        for generation in range(2, 5):
            database.make_staging(generation)
            keep = database.engine.schema_name("undo", f"restore-20261122T22335{generation}-abcde")
            database.promote(database.staging, keep)
            database.engine.drop(database.staging)

    assert wrong == []
    assert len(database.live()["probe"]) == 1 + written


@contextmanager
def holding(database: LiveDatabase, seconds: float) -> Iterator[threading.Event]:
    """Another client holds the tables for so long, or until the event is set."""
    held, release = threading.Event(), threading.Event()

    def hold() -> None:
        with database.client() as client:
            if database.project.engine == "sqlite":
                client.execute("BEGIN IMMEDIATE")
            else:
                client.execute("BEGIN")
                client.execute("SELECT * FROM moon")
            held.set()
            release.wait(seconds)
            client.execute("ROLLBACK")

    thread = threading.Thread(target=hold)
    thread.start()
    assert held.wait(10)
    try:
        yield release
    finally:
        release.set()
        thread.join(30)


def short_lock_timeout(database: LiveDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for locks a fifth of a second."""
    monkeypatch.setattr(swap, "LOCK_TIMEOUT_MS", 200)
    if database.project.engine == "sqlite":
        run_all("PRAGMA busy_timeout = 200")


def test_a_promote_waits_for_a_lock_and_then_succeeds(
    database: LiveDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    database.make_staging(generation=2)
    monkeypatch.setattr(swap, "LOCK_TIMEOUT_MS", 200)
    with holding(database, seconds=0.8):
        database.promote(database.staging, database.undo)

    assert generations(database) == {2}


def test_a_lock_that_is_never_given_back_is_an_error_that_says_so(
    database: LiveDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = database.live()
    database.make_staging(generation=2)
    short_lock_timeout(database, monkeypatch)
    for engine in (postgresql, mariadb):
        monkeypatch.setattr(engine, "_LOCK_TRIES", 2)
    with holding(database, seconds=60), pytest.raises(LockNotGranted):
        database.promote(database.staging, database.undo)

    assert database.live() == before
    database.promote(database.staging, database.undo)
    assert generations(database) == {2}
