"""kill -9 at every step boundary, at fifty random moments, and all through promote.

Each time live must be the old state or the new one, a client that reads it meanwhile must see no
error, and the next run must clean up and succeed (P4, P9, F12).
"""

import os
import random
from collections import Counter
from collections.abc import Iterator

import pytest

from backup_tasks.runs.chains import PARAMS, steps_of
from tests.chaos.reading import Reader, reader_of
from tests.chaos.subject import KILLED, State, Subject

RANDOM_MOMENTS = 50
WITHIN_PROMOTE = 12
STEPS = steps_of("restore", PARAMS["restore"])
BOUNDARIES = [f"{moment} {step}" for step in STEPS for moment in ("claimed", "worked", "recorded")]


@pytest.fixture(scope="module")
def seed() -> int:
    """Of the random moments; CHAOS_SEED repeats those of an earlier run."""
    seed = int(os.environ.get("CHAOS_SEED") or random.randrange(2**32))
    print(f"CHAOS_SEED={seed}")
    return seed


def other(generation: str) -> str:
    return {"a": "b", "b": "a"}[generation]


def verdict(old: State, new: State, now: State) -> str:
    """Say which state live is in. Fails for a mixture.

    Rows and files can't change in one instant: new files come before the rows, and others after.
    In between, the rows are exactly the old or the new ones, each of them has its file, and each
    file is whole.
    """
    if now == old:
        return "old"
    if now == new:
        return "new"
    for name, sha256 in now.files.items():
        assert sha256 in (old.files.get(name), new.files.get(name)), name
    if now.rows == old.rows:
        assert old.files.items() <= now.files.items()
        return "old, files of the new one beside"
    assert now.rows == new.rows
    assert new.files.keys() <= now.files.keys()
    return "new, files of the old one still there"


class Trial:
    """Kills one restore after the other, each on what the one before it made."""

    def __init__(self, subject: Subject, reader: Reader) -> None:
        self.subject, self.reader = subject, reader
        self.tally: Counter[str] = Counter()
        """What live was after the deaths."""
        self.steps: Counter[str] = Counter()
        """Where they happened."""

    def kill(self, **order: float | str) -> bool:
        """Order a restore's death, look, and let the next run succeed. Returns whether it died:
        one may have ended just before."""
        subject = self.subject
        old = subject.generation()
        new = other(old)
        ending = subject.restore(new, **order)
        if died := ending.code == KILLED:
            found = verdict(subject.states[old], subject.states[new], subject.state())
            self.tally[found] += 1
            self.steps[subject.step_at_work()] += 1
            self.recover(new)
        else:
            assert ending.code == 0, ending.text
        assert subject.state() == subject.states[new], order
        assert subject.left_behind() == [], order
        assert self.reader.wrong == [], order
        return died

    def recover(self, new: str) -> None:
        """Do what an operator would: resume the run, or give it up and start another."""
        subject = self.subject
        if runs := subject.active_runs():
            (run,) = runs
            give_up = self.tally.total() % 5 == 0
            if give_up and subject.run("cancel_run", run).code == 0:
                assert not subject.promoted(run)
                assert subject.left_behind() == []
            else:
                subject.succeed("resume_run", run)
                return
        if subject.generation() != new:
            subject.succeed_restore(new)
        subject.succeed("prune_packages")

    def report(self) -> None:
        print(f"{self.subject.project.engine}: {self.tally.total()} killed: {dict(self.tally)}")
        print(f"at {dict(self.steps)}")
        print(f"the reader's looks: {dict(self.reader.looks)}, again: {self.reader.again}")


@pytest.fixture
def trial(subject: Subject) -> Iterator[Trial]:
    with reader_of(subject.project) as reader:
        trial = Trial(subject, reader)
        yield trial
    trial.report()


def test_death_at_every_step_boundary(trial: Trial) -> None:
    """Right after each step was claimed, when its work is done, and when that is recorded."""
    for boundary in BOUNDARIES:
        assert trial.kill(when=boundary), boundary

    assert trial.tally.total() == len(BOUNDARIES)
    assert trial.tally["old"] >= len(BOUNDARIES) - 3
    assert trial.tally["new"] == 2


def test_death_at_random_moments(trial: Trial, seed: int) -> None:
    """Spread over all that a restore does, then a little later by the clock: within SQL, within C.

    By the clock alone, a machine that has other things to do would have most of them early.
    """
    subject, chance = trial.subject, random.Random(seed)
    whole = subject.succeed_restore(other(subject.generation()))
    pause = whole.seconds / len(whole.moments)
    while (done := trial.tally.total()) < RANDOM_MOMENTS:
        at = int((done + chance.random()) / RANDOM_MOMENTS * len(whole.moments))
        trial.kill(at=at, later=chance.uniform(0, 3 * pause))

    assert {"safety", "load", "promote"} <= trial.steps.keys()


def test_death_all_through_promote(trial: Trial) -> None:
    """It is short, and where it matters: at moments that are evenly spread over what it does."""
    first = "claimed promote"
    subject = trial.subject
    moments = subject.succeed_restore(other(subject.generation()), counting_from=first).moments
    last = moments.index("recorded promote")
    commit = len(moments[:last]) - 1 - moments[:last][::-1].index("commit")
    chosen = {round(last * n / WITHIN_PROMOTE) for n in range(WITHIN_PROMOTE)} | {commit}
    for at in sorted(chosen):
        assert trial.kill(counting_from=first, at=at), moments[at]

    assert set(trial.tally) >= {"old", "new"}


BURY = "from backup_tasks import ledger; ledger.fail_dead_commands()"


def test_a_run_that_failed_half_way_is_not_finished_over_a_later_one(subject: Subject) -> None:
    """It died with its rows in place and its files on the way; another restore has come since."""
    old = subject.generation()
    new = other(old)
    before_the_first_old_file_is_kept = {"counting_from": "claimed promote", "when": "os.link"}
    assert subject.restore(new, **before_the_first_old_file_is_kept).code == KILLED
    (run,) = subject.active_runs()
    subject.project.succeed("shell", "--no-imports", "-c", BURY)
    subject.succeed_restore(old)

    resumed = subject.run("resume_run", run)

    assert resumed.code == 1
    assert "a later run has replaced live since" in resumed.text
    assert subject.generation() == old
    subject.succeed("undo_restore", "--confirm")
    assert subject.state().rows == subject.states[new].rows
    subject.succeed_restore(old)
    a_day_later = "UPDATE backup_tasks_run SET finished_at = '2026-01-01 00:00:00'"
    subject.client.execute(f"{a_day_later} WHERE id = '{run}'")
    subject.succeed("prune_packages")
    assert subject.left_behind() == []


@pytest.mark.parametrize("engine", ["sqlite"])
def test_a_run_that_failed_half_way_is_not_finished_over_a_later_merge(subject: Subject) -> None:
    """It would go on with the files, by a plan for rows that are not what they were."""
    subject.succeed_restore("a")
    before_the_first_old_file_is_kept = {"counting_from": "claimed promote", "when": "os.link"}
    assert subject.restore("b", **before_the_first_old_file_is_kept).code == KILLED
    (run,) = subject.active_runs()
    subject.project.succeed("shell", "--no-imports", "-c", BURY)
    merge = ("--mode", "merge", "--on-conflict", "package", "--confirm")
    subject.succeed("restore_from_package", subject.packages["a"], *merge)
    merged = subject.state()

    resumed = subject.run("resume_run", run)

    assert resumed.code == 1
    assert "a later run has replaced live since" in resumed.text
    assert subject.state() == merged
    subject.succeed_restore("a")
    a_day_later = "UPDATE backup_tasks_run SET finished_at = '2026-01-01 00:00:00'"
    subject.client.execute(f"{a_day_later} WHERE id = '{run}'")
    subject.succeed("prune_packages")
    assert subject.left_behind() == []


def test_a_run_that_has_changed_live_is_finished_and_neither_cancelled_nor_undone(
    subject: Subject,
) -> None:
    """It died between the rows and the last files: giving it up would leave a mixture for good."""
    old = subject.generation()
    new = other(old)
    before_the_first_old_file_is_kept = {"counting_from": "claimed promote", "when": "os.link"}
    assert subject.restore(new, **before_the_first_old_file_is_kept).code == KILLED
    now, (run,) = subject.state(), subject.active_runs()
    assert now.rows == subject.states[new].rows
    assert now.files != subject.states[new].files

    cancel = subject.run("cancel_run", run)
    undo = subject.run("undo_restore", "--confirm")

    assert cancel.code == 1
    assert "too late" in cancel.text
    assert f"resume_run {run}" in cancel.text
    assert undo.code == 4
    assert f"resume_run {run}" in undo.text
    assert subject.state() == now
    subject.succeed("resume_run", run)
    assert subject.generation() == new
    assert subject.left_behind() == []
