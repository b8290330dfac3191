"""Promote and load, killed at any moment."""

import signal
import subprocess
import sys
import time

import pytest

from edms.local.instance import ROOT
from tests.integration.engines.ground import Ground, generations

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
    with engine.at(ground.staging), engine.loading(TABLES, attempt=1):
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

    assert ground.structure() == structure
    if (ground.project.engine, moment) == ("mariadb", "committing"):
        # What is renamed is renamed. Only the record is missing; the next attempt writes it.
        assert generations(ground) == {2}
        assert ground.engine.in_doubt(ground.undo)
        ground.promote(ground.staging, ground.undo, ground.note)
        assert [row[1] for row in ground.live()["ledger"]] == ["promoted"]
        return
    assert ground.live() == before
    assert not ground.engine.in_doubt(ground.undo)
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
