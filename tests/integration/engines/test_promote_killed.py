"""Promote and load, killed at any moment."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from edms.local.instance import ROOT
from tests.integration.engines.live_database import TABLES, LiveDatabase, generations

# Death


KILLED = """
import os, signal, sys
import django
django.setup()
from django.db import connections
from backup_tasks.engines import engine_for
from tests.integration.engines.live_database import RUN, TABLES, LiveDatabase, run_all

engine = engine_for("default")
database = LiveDatabase(project=None, engine=engine)
moment = sys.argv[1]

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

if moment == "loading":
    with engine.at(database.staging), engine.loading(TABLES, attempt=1):
        engine.write("planet", ["id", "name", "gen"], [[1, "half", 9]])
        die()
if moment == "writing":
    with engine.at(database.staging), engine.loading(TABLES, attempt=1):
        engine.write("moon", ["id", "gen", "planet_id"], ([n, 9, 10] for n in range(200_000)))
        die()
if moment == "recording":
    database.promote(database.staging, database.undo, die)
if moment == "committing":
    import django.db.backends.base.base as base
    base.BaseDatabaseWrapper._commit = die
    database.promote(database.staging, database.undo)
print("ready", flush=True)
database.promote(database.staging, database.undo)
"""


def start_to_be_killed(database: LiveDatabase, moment: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", KILLED, moment],
        cwd=ROOT,
        env=database.project.env,
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("moment", ["loading", "recording", "committing"])
def test_death_leaves_live_as_it_was_and_the_next_attempt_succeeds(
    database: LiveDatabase, moment: str
) -> None:
    """Invariant 1: kill -9 at the worst moments."""
    before, structure = database.live(), database.structure()
    database.make_staging(generation=2)

    with start_to_be_killed(database, moment) as program:
        assert program.wait(60) == -signal.SIGKILL

    assert database.structure() == structure
    if (database.project.engine, moment) == ("mariadb", "committing"):
        # What is renamed is renamed. Only the record is missing; the next attempt writes it.
        assert generations(database) == {2}
        assert database.engine.in_doubt(database.undo)
        database.promote(database.staging, database.undo, database.note)
        assert [row[1] for row in database.live()["ledger"]] == ["promoted"]
        return
    assert database.live() == before
    assert not database.engine.in_doubt(database.undo)
    database.make_staging(generation=2)
    database.promote(database.staging, database.undo)
    assert generations(database) == {2}


def test_a_load_killed_after_much_was_written_leaves_a_staging_that_the_next_load_makes_whole(
    database: LiveDatabase,
) -> None:
    """More than the database keeps in memory: it is on the disk already. A load that is resumed
    goes on with that staging, and promote takes its indexes over."""
    structure = database.structure()
    database.make_staging(generation=2)

    with start_to_be_killed(database, "writing") as program:
        assert program.wait(60) == -signal.SIGKILL
    if database.project.engine == "sqlite":  # what undoes it
        assert Path(f"{database.staging}-journal").stat().st_size

    with database.engine.at(database.staging), database.engine.loading(TABLES, attempt=2):
        database.engine.write("planet", ["id", "name", "gen"], [[10, "planet", 2]])
        database.engine.write("moon", ["id", "gen", "planet_id"], [[100, 2, 10]])
    database.promote(database.staging, database.undo)
    assert generations(database) == {2}
    assert database.structure() == structure


@pytest.mark.parametrize("delay", [0.0, 0.002, 0.01, 0.03])
def test_death_at_any_moment_leaves_the_old_state_or_the_new_one(
    database: LiveDatabase, delay: float
) -> None:
    before = database.live()
    database.make_staging(generation=2, moons=3000)

    with start_to_be_killed(database, "any") as program:
        assert program.stdout is not None
        assert program.stdout.readline() == "ready\n"
        time.sleep(delay)
        program.kill()
        program.wait(60)

    assert generations(database) in ({1}, {2})
    if generations(database) == {1}:
        assert database.live() == before
    else:
        assert len(database.live()["moon"]) == 3000
