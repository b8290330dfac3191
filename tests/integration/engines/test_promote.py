"""Promote: all of it or nothing, whoever reads, writes, locks or kills."""

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest

from backup_tasks.engines import postgresql
from backup_tasks.errors import DoesNotFit, LockNotGranted
from edms.local.instance import ROOT
from tests.integration.engines.ground import Ground, run_all


def generations(ground: Ground) -> set[int]:
    live = ground.live()
    return {row[-1] for row in live["planet"]} | {row[1] for row in live["moon"]}


def test_promote_replaces_the_tables_and_keeps_the_old_ones(ground: Ground) -> None:
    before, structure = ground.live(), ground.structure()
    ground.make_staging(generation=2)

    seconds = ground.promote(ground.staging, ground.undo)

    live = ground.live()
    assert [row[0] for row in live["moon"]] == [100, 101, 102, 103]
    assert generations(ground) == {2}
    assert live["probe"] == before["probe"]
    assert live["django_migrations"] == [("other", "0001_initial"), ("space", "0002_staged")]
    assert ground.structure() == structure
    assert 0 <= seconds < 5
    assert ground.undo in ground.engine.places()


def test_undo_is_a_promote_of_what_was_kept_and_can_be_undone(ground: Ground) -> None:
    before, structure = ground.live(), ground.structure()
    ground.make_staging(generation=2)
    ground.promote(ground.staging, ground.undo)
    promoted = ground.live()

    again = ground.engine.place("undo", "undo-20261122T223400-fghij")
    ground.promote(ground.undo, again)
    assert ground.live() == before
    ground.promote(again, ground.engine.place("undo", "undo-20261122T223500-klmno"))

    assert ground.live() == promoted
    assert ground.structure() == structure


def test_a_clone_can_be_promoted(ground: Ground) -> None:
    structure = ground.structure()
    assert ground.engine.clone(ground.staging, ["planet", "moon", "probe"]) == []
    ground.load(generation=2, moons=3)
    ground.promote(ground.staging, ground.undo)
    ground.engine.drop(ground.staging)
    ground.engine.drop(ground.undo)

    assert generations(ground) == {2}
    assert ground.structure() == structure


@pytest.mark.parametrize("made", ["migrated", "cloned"])
def test_the_next_row_gets_a_key_of_its_own_also_when_the_old_tables_are_gone(
    ground: Ground, made: str
) -> None:
    """T9: the sequence is the new table's, and did not go with the old one."""
    if made == "cloned":
        ground.engine.clone(ground.staging, ["planet", "moon", "probe"])
        ground.load(generation=2, moons=3)
    else:
        ground.make_staging(generation=2, moons=3)
    if ground.project.engine == "postgres":
        with ground.engine.at(ground.staging):
            run_all("SELECT setval(pg_get_serial_sequence('moon', 'id'), 102)")
    ground.promote(ground.staging, ground.undo)
    ground.engine.drop(ground.staging)
    ground.engine.drop(ground.undo)

    with ground.client() as client:
        client.execute("INSERT INTO moon (gen, planet_id) VALUES (2, 10)")
    assert [row[0] for row in ground.live()["moon"]] == [100, 101, 102, 103]


def test_what_is_recorded_is_committed_with_the_promote_or_not_at_all(ground: Ground) -> None:
    """Invariant 4: a second attempt sees by it what was done."""
    before = ground.live()
    ground.make_staging(generation=2)

    def refuse() -> None:
        run_all(
            "INSERT INTO django_migrations (app, name, applied) VALUES ('x', 'y', '2026-01-01')"
        )
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        ground.promote(ground.staging, ground.undo, refuse)
    assert ground.live() == before
    ground.promote(
        ground.staging,
        ground.undo,
        lambda: run_all(
            "INSERT INTO django_migrations (app, name, applied) VALUES ('x', 'y', '2026-01-01')"
        ),
    )

    assert ("x", "y") in ground.live()["django_migrations"]
    assert generations(ground) == {2}


def test_a_table_that_live_lacks_is_created(ground: Ground) -> None:
    ground.make_staging(generation=2)
    run_all("DROP TABLE probe; DROP TABLE moon")

    ground.promote(ground.staging, ground.undo)

    with ground.client() as client:
        assert client.execute("SELECT count(*) FROM moon").fetchone() == (4,)


# Outside


def test_a_foreign_key_from_outside_leads_to_the_new_table(ground: Ground) -> None:
    ground.make_staging(generation=2)
    ground.promote(ground.staging, ground.undo)
    ground.engine.drop(ground.undo)

    with ground.client() as client:
        client.execute("INSERT INTO probe (moon_id) VALUES (103)")
        with pytest.raises((sqlite_error(), psycopg.errors.ForeignKeyViolation)):
            client.execute("INSERT INTO probe (moon_id) VALUES (4711)")


def sqlite_error() -> type[Exception]:
    import sqlite3

    return sqlite3.IntegrityError


def test_rows_outside_that_would_refer_to_nothing_are_refused(ground: Ground) -> None:
    """No silent loss: what stays outside must go on leading somewhere."""
    with ground.client() as client:
        client.execute("INSERT INTO probe (moon_id) VALUES (101)")
    before = ground.live()
    ground.make_staging(generation=2, moons=1)

    with pytest.raises(DoesNotFit) as refused:
        ground.promote(ground.staging, ground.undo)

    assert "probe" in str(refused.value)
    assert ground.live() == before
    assert ground.undo not in ground.engine.places() or ground.project.engine == "sqlite"


def test_a_view_shows_the_new_rows(ground: Ground) -> None:
    """T14: on PostgreSQL it would go on showing the old table, under whatever name."""
    with ground.client() as client:
        client.execute("CREATE VIEW bright AS SELECT gen FROM moon")
    ground.make_staging(generation=2)

    ground.promote(ground.staging, ground.undo)
    ground.engine.drop(ground.undo)

    with ground.client() as client:
        assert client.execute("SELECT DISTINCT gen FROM bright").fetchall() == [(2,)]


@pytest.mark.parametrize("engine", ["postgres"])
def test_what_would_go_on_using_the_old_table_is_refused_by_name(ground: Ground) -> None:
    """A rule, which can't be made anew: refused before anything has changed."""
    with ground.client() as client:
        client.execute("CREATE RULE silent AS ON INSERT TO probe DO ALSO UPDATE moon SET gen = 5")
    before = ground.live()
    ground.make_staging(generation=2)

    with pytest.raises(DoesNotFit) as refused:
        ground.promote(ground.staging, ground.undo)

    assert "probe" in str(refused.value)
    assert ground.live() == before


@pytest.mark.parametrize("engine", ["postgres"])
def test_grants_of_other_roles_hold_for_the_new_table(ground: Ground) -> None:
    with ground.client() as client:
        client.execute("CREATE ROLE reporting_of_engines_test")
        try:
            client.execute("GRANT SELECT, UPDATE ON moon TO reporting_of_engines_test")
            granted = "SELECT relacl::text FROM pg_class WHERE oid = 'public.moon'::regclass"
            before = client.execute(granted).fetchone()
            ground.make_staging(generation=2)
            ground.promote(ground.staging, ground.undo)
            assert client.execute(granted).fetchone() == before
        finally:
            client.execute("DROP OWNED BY reporting_of_engines_test")
            client.execute("DROP ROLE reporting_of_engines_test")


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
            keep = ground.engine.place("undo", f"restore-20261122T22335{generation}-abcde")
            ground.promote(ground.staging, keep)
            ground.engine.drop(ground.staging)
        wait_until(lambda: bool(wrong) or seen[-1] == {6})

    assert wrong == []
    assert all(len(found) == 1 for found in seen)
    assert seen[0] == {1}


def test_a_writer_goes_on_and_loses_nothing_that_it_wrote_outside(ground: Ground) -> None:
    written = 0

    def write(client: Any) -> None:
        nonlocal written
        client.execute("INSERT INTO probe (moon_id) VALUES (100)")
        written += 1

    with working(ground, write) as wrong:
        for generation in range(2, 5):
            ground.make_staging(generation)
            keep = ground.engine.place("undo", f"restore-20261122T22335{generation}-abcde")
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
    monkeypatch.setattr(postgresql, "_LOCK_TIMEOUT_MS", 200)
    if ground.project.engine == "sqlite":
        run_all("PRAGMA busy_timeout = 200")


def test_a_promote_waits_for_a_lock_and_then_succeeds(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    ground.make_staging(generation=2)
    monkeypatch.setattr(postgresql, "_LOCK_TIMEOUT_MS", 200)
    with holding(ground, seconds=0.8):
        ground.promote(ground.staging, ground.undo)

    assert generations(ground) == {2}


def test_a_lock_that_is_never_given_back_is_an_error_that_says_so(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = ground.live()
    ground.make_staging(generation=2)
    impatient(ground, monkeypatch)
    monkeypatch.setattr(postgresql, "_LOCK_TRIES", 2)
    with holding(ground, seconds=60), pytest.raises(LockNotGranted):
        ground.promote(ground.staging, ground.undo)

    assert ground.live() == before
    ground.promote(ground.staging, ground.undo)
    assert generations(ground) == {2}


# Death


KILLED = """
import os, signal, sys
import django
django.setup()
from django.db import connections
from backup_tasks.engines import engine_for
from tests.integration.engines.ground import RUN, TABLES, Ground, run_all

engine = engine_for("default")
ground = Ground(project=None, engine=engine)
moment = sys.argv[1]

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

if moment == "loading":
    with engine.at(ground.staging), engine.loading(TABLES):
        engine.write("planet", ["id", "name", "gen"], [[1, "half", 9]])
        die()
if moment == "recording":
    ground.promote(ground.staging, ground.undo, die)
if moment == "committing":
    import django.db.backends.base.base as base
    base.BaseDatabaseWrapper._commit = die
    ground.promote(ground.staging, ground.undo)
print("ready", flush=True)
ground.promote(ground.staging, ground.undo)
"""


def start_to_be_killed(ground: Ground, moment: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", KILLED, moment],
        cwd=ROOT,
        env=ground.project.env,
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("moment", ["loading", "recording", "committing"])
def test_death_leaves_live_as_it_was_and_the_next_attempt_succeeds(
    ground: Ground, moment: str
) -> None:
    """Invariant 1: kill -9 at the worst moments."""
    before, structure = ground.live(), ground.structure()
    ground.make_staging(generation=2)

    with start_to_be_killed(ground, moment) as program:
        assert program.wait(60) == -signal.SIGKILL

    assert ground.live() == before
    assert ground.structure() == structure
    ground.make_staging(generation=2)
    ground.promote(ground.staging, ground.undo)
    assert generations(ground) == {2}


@pytest.mark.parametrize("delay", [0.0, 0.002, 0.01, 0.03])
def test_death_at_any_moment_leaves_the_old_state_or_the_new_one(
    ground: Ground, delay: float
) -> None:
    before = ground.live()
    ground.make_staging(generation=2, moons=3000)

    with start_to_be_killed(ground, "any") as program:
        assert program.stdout is not None
        assert program.stdout.readline() == "ready\n"
        time.sleep(delay)
        program.kill()
        program.wait(60)

    assert generations(ground) in ({1}, {2})
    if generations(ground) == {1}:
        assert ground.live() == before
    else:
        assert len(ground.live()["moon"]) == 3000
