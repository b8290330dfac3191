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
from tests.integration.engines.ground import Ground, generations, run_all

# Others at work


@contextmanager
def working(ground: Ground, work: Callable[[Any], None]) -> Iterator[list[BaseException]]:
    """Let another client do something over and over while the block lasts."""
    stop, wrong = threading.Event(), []
    started = threading.Event()

    def loop() -> None:
        try:
            with ground.client() as client:
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


def test_a_reader_never_sees_a_mixed_state(ground: Ground) -> None:
    seen: list[set[int]] = []

    def read(client: Any) -> None:
        found = client.execute("SELECT gen FROM planet UNION SELECT gen FROM moon").fetchall()
        seen.append({gen for (gen,) in found})

    with working(ground, read) as wrong:
        for generation in range(2, 7):
            ground.make_staging(generation)
            keep = ground.engine.schema_name("undo", f"restore-20261122T22335{generation}-abcde")
            ground.promote(ground.staging, keep)
            ground.engine.drop(ground.staging)
        wait_until(lambda: bool(wrong) or seen[-1] == {6})

    assert wrong == []
    assert all(len(found) == 1 for found in seen)
    assert seen[0] == {1}


def test_a_transaction_that_began_before_the_load_finds_no_empty_table(ground: Ground) -> None:
    with ground.client() as client:
        client.execute("BEGIN")
        if ground.project.engine == "postgres":
            client.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        client.execute("SELECT 1")
        ground.make_staging(2)
        ground.promote(ground.staging, ground.undo)

        assert client.execute("SELECT DISTINCT gen FROM moon").fetchall() == [(2,)]

        client.execute("COMMIT")


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_without_a_write_ahead_log_readers_wait_and_see_no_error(ground: Ground) -> None:
    """The delete journal is Django's default: whoever writes more than fits in memory, or commits,
    waits for the readers to leave, and lets no new one in."""
    connection = connections["default"]
    connection.close()
    connection.settings_dict["OPTIONS"].pop("init_command")
    with ground.client() as client:
        assert client.execute("PRAGMA journal_mode = DELETE").fetchone() == ("delete",)
    ground.make_staging(generation=2, moons=200_000)
    reads: list[tuple[float, set[int]]] = []

    def read(client: Any) -> None:
        began = time.monotonic()
        found = client.execute("SELECT gen FROM planet UNION SELECT gen FROM moon").fetchall()
        reads.append((time.monotonic() - began, {gen for (gen,) in found}))

    with working(ground, read) as wrong:
        locked = ground.promote(ground.staging, ground.undo)
        wait_until(lambda: bool(wrong) or reads[-1][1] == {2})

    assert wrong == []
    assert all(len(seen) == 1 for _, seen in reads)
    assert reads[0][1] == {1}
    assert max(took for took, _ in reads) < locked + 5
    with ground.client() as client:
        assert client.execute("PRAGMA journal_mode").fetchone() == ("delete",)


def test_a_writer_goes_on_and_loses_nothing_that_it_wrote_outside(ground: Ground) -> None:
    written = 0

    def write(client: Any) -> None:
        nonlocal written
        client.execute("INSERT INTO probe (moon_id) VALUES (100)")
        written += 1

    with working(ground, write) as wrong:
        for generation in range(2, 5):
            ground.make_staging(generation)
            keep = ground.engine.schema_name("undo", f"restore-20261122T22335{generation}-abcde")
            ground.promote(ground.staging, keep)
            ground.engine.drop(ground.staging)

    assert wrong == []
    assert len(ground.live()["probe"]) == 1 + written


@contextmanager
def holding(ground: Ground, seconds: float) -> Iterator[threading.Event]:
    """Another client holds the tables for so long, or until the event is set."""
    held, release = threading.Event(), threading.Event()

    def hold() -> None:
        with ground.client() as client:
            if ground.project.engine == "sqlite":
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


def impatient(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for locks a fifth of a second."""
    monkeypatch.setattr(swap, "LOCK_TIMEOUT_MS", 200)
    if ground.project.engine == "sqlite":
        run_all("PRAGMA busy_timeout = 200")


def test_a_promote_waits_for_a_lock_and_then_succeeds(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    ground.make_staging(generation=2)
    monkeypatch.setattr(swap, "LOCK_TIMEOUT_MS", 200)
    with holding(ground, seconds=0.8):
        ground.promote(ground.staging, ground.undo)

    assert generations(ground) == {2}


def test_a_lock_that_is_never_given_back_is_an_error_that_says_so(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = ground.live()
    ground.make_staging(generation=2)
    impatient(ground, monkeypatch)
    for engine in (postgresql, mariadb):
        monkeypatch.setattr(engine, "_LOCK_TRIES", 2)
    with holding(ground, seconds=60), pytest.raises(LockNotGranted):
        ground.promote(ground.staging, ground.undo)

    assert ground.live() == before
    ground.promote(ground.staging, ground.undo)
    assert generations(ground) == {2}
