"""A worker that is stopped right before it changes a file, and goes on when it has lost its step.

It is stopped by SIGSTOP, within the call: what it asked the ledger was answered before. Its lease
runs out. Another worker finishes its run, or an operator gives it up; another restore may have come
since. Then it goes on (SIGCONT). All rows and files must stay as they were (C26, F12, P9).

It is stopped at changes that are evenly spread over what its step does: at few of each kind of step
in the whole suite, at more in `make chaos`.
"""

import os
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.nursery import changes_file
from tests.chaos.subject import KILLED, Ending, Stopped, Subject
from tests.chaos.test_kills import BURY, other

EACH = int(os.environ.get("CHAOS_ZOMBIES", "3"))
"""How many are made of each kind of step, where it changes that many files."""

Command = tuple[str | Path, ...]
GIVEN_UP_WITHIN = 20
"""Seconds until another worker has finished what the server has ended after one second."""
UNDO: Command = ("undo_restore", "--confirm")
PRUNE: Command = ("prune_packages",)


def restore(subject: Subject, generation: str) -> Command:
    return ("restore_from_package", subject.packages[generation], "--type", "full", "--confirm")


def merge(subject: Subject, generation: str) -> Command:
    options = ("--mode", "merge", "--on-conflict", "package", "--confirm")
    return ("restore_from_package", subject.packages[generation], *options)


def age_failed(subject: Subject) -> None:
    """The runs that failed did so long ago: what they left may go."""
    long_ago = "UPDATE backup_tasks_run SET finished_at = '2001-01-01 00:00:00'"
    subject.client.execute(f"{long_ago} WHERE state = 'failed'")


def stops(ending: Ending, subject: Subject, step: str) -> Sequence[int]:
    """The changes of files, by their number, at which the next run of that kind is stopped."""
    moments = ending.moments[: ending.moments.index(f"recorded {step}")]
    count = sum(changes_file(moment, subject.project.media) for moment in moments)
    assert count > 1
    return sorted({round((count - 1) * n / (EACH - 1)) for n in range(EACH)})


class Zombies:
    """Makes them, one after the other, in one project."""

    def __init__(self, subject: Subject) -> None:
        self.subject = subject
        self.tally: Counter[str] = Counter()

    def stop(self, step: str, command: Command, at: int) -> Stopped:
        """Stop a run there, and let its lease run out."""
        return self._stop(command, step, stops_at=at)

    def stop_in_transaction(self, step: str, command: Command, statement: str) -> Stopped:
        """Stop a run before that statement, and let its lease run out. The server waits a second
        for it."""
        return self._stop(command, step, stops_when=statement, idle_seconds=1)

    def _stop(self, command: Command, step: str, **order: Any) -> Stopped:
        stopped = self.subject.stop(*command, counting_from=f"claimed {step}", **order)
        assert stopped is not None, (step, order)
        self.subject.client.execute(
            "UPDATE backup_tasks_step SET lease_until = '2001-01-01 00:00:00'"
            " WHERE state = 'running'"
        )
        return stopped

    def finish(self) -> None:
        """Another worker takes the step over, and finishes the run."""
        (run,) = self.subject.active_runs()
        self.subject.succeed("resume_run", run)

    def give_up(self) -> None:
        """An operator cancels the run. Where that is too late, it is finished."""
        (run,) = self.subject.active_runs()
        if self.subject.run("cancel_run", run).code != 0:
            self.finish()

    def go_on(self, stopped: Stopped, what: str) -> None:
        """Let it go on, and see that it changes nothing, and says why."""
        subject = self.subject
        before, orphans = subject.state(), subject.left_behind()
        assert orphans == [] or "given up" in what, what
        ending = stopped.go_on()
        assert subject.state() == before, (what, ending.text)
        assert subject.left_behind() == orphans, (what, ending.text)
        assert ending.code not in (0, KILLED), (what, ending.text)
        assert "lost its lease" in ending.text or "cancelled" in ending.text, ending
        self.tally[what] += 1


@pytest.fixture
def zombies(subject: Subject) -> Iterator[Zombies]:
    zombies = Zombies(subject)
    yield zombies
    print(f"{subject.project.engine}: {zombies.tally.total()} zombies: {dict(zombies.tally)}")


def test_stopped_in_a_restore(zombies: Zombies) -> None:
    subject = zombies.subject
    done = subject.succeed_restore(other(subject.generation()), counting_from="claimed promote")
    for number, at in enumerate(stops(done, subject, "promote")):
        old = subject.generation()
        new = other(old)
        stopped = zombies.stop("promote", restore(subject, new), at)
        since = ("finished", "superseded", "given up", "given up and replaced")[number % 4]
        if since in ("finished", "superseded"):
            zombies.finish()
            assert subject.generation() == new, at
        else:
            zombies.give_up()
        if since in ("superseded", "given up and replaced"):
            subject.succeed_restore(other(subject.generation()))
        zombies.go_on(stopped, f"promote, {since}")
        assert subject.generation() in (old, new), at


LAST_STATEMENT = {
    "postgres": 'INSERT INTO "public".django_migrations',
    "mariadb": "BEGIN NOT ATOMIC RENAME TABLE",
}
"""Of a swap, when everything is locked."""


@pytest.mark.parametrize("engine", LAST_STATEMENT)
def test_stopped_in_the_transaction_that_swaps(zombies: Zombies) -> None:
    """SQLite has no server that could end it."""
    subject = zombies.subject
    statement = LAST_STATEMENT[subject.project.engine]
    for step, new in (("promote", other(subject.generation())), ("undo", subject.generation())):
        command = UNDO if step == "undo" else restore(subject, new)
        stopped = zombies.stop_in_transaction(step, command, statement)
        began = time.monotonic()
        subject.state()  # waits for the locks
        zombies.finish()
        assert time.monotonic() - began < GIVEN_UP_WITHIN
        assert subject.generation() == new
        zombies.go_on(stopped, f"{step}, in its transaction")


def test_stopped_in_an_undo(zombies: Zombies) -> None:
    subject = zombies.subject
    subject.succeed_restore(other(subject.generation()))
    done = subject.succeed(*UNDO, counting_from="claimed undo")
    for number, at in enumerate(stops(done, subject, "undo")):
        old = subject.generation()
        stopped = zombies.stop("undo", UNDO, at)
        zombies.finish()
        assert subject.generation() == other(old), at
        since = ("finished", "undone again", "superseded")[number % 3]
        if since == "undone again":
            subject.succeed(*UNDO)
        elif since == "superseded":
            subject.succeed_restore(old)
        zombies.go_on(stopped, f"undo, {since}")
        assert subject.generation() == (other(old) if since == "finished" else old), at


def test_stopped_in_a_merge(zombies: Zombies) -> None:
    subject = zombies.subject
    subject.succeed_restore("b")
    done = subject.succeed(*merge(subject, "a"), counting_from="claimed merge")
    merged = subject.state()
    assert merged.files.items() >= subject.states["a"].files.items()
    for number, at in enumerate(stops(done, subject, "merge")):
        subject.succeed_restore("b")
        stopped = zombies.stop("merge", merge(subject, "a"), at)
        since = ("finished", "superseded", "given up")[number % 3]
        if since == "given up":
            zombies.give_up()
        else:
            zombies.finish()
            assert subject.state().files == merged.files, at
        if since == "superseded":
            subject.succeed_restore("b")
        zombies.go_on(stopped, f"merge, {since}")
    subject.succeed_restore("b")


@pytest.mark.parametrize("engine", ["postgres", "mariadb"])
def test_stopped_in_the_transaction_that_merges(zombies: Zombies) -> None:
    subject = zombies.subject
    subject.succeed_restore("b")
    subject.succeed(*merge(subject, "a"))
    merged = subject.state()
    subject.succeed_restore("b")
    quote = "`" if subject.project.engine == "mariadb" else '"'
    stopped = zombies.stop_in_transaction(
        "merge", merge(subject, "a"), f"INSERT INTO {quote}backup_tasks_undopoint{quote}"
    )
    began = time.monotonic()
    subject.client.execute("UPDATE shelf_document SET id = id")
    zombies.finish()
    assert time.monotonic() - began < GIVEN_UP_WITHIN
    assert subject.state() == merged
    zombies.go_on(stopped, "merge, in its transaction")
    subject.succeed_restore("b")


def test_stopped_in_a_prune_that_takes_back_what_a_failed_restore_has_added(
    zombies: Zombies,
) -> None:
    """The run is resumed, or another restore comes, while it is stopped."""
    subject = zombies.subject
    subject.succeed(*PRUNE)

    def fail() -> str:
        """A restore that added its files, was killed, and can't be resumed any more."""
        quote = "`" if subject.project.engine == "mariadb" else '"'
        recorded = f"UPDATE {quote}backup_tasks_step{quote} SET {quote}lease_until"
        order = {"counting_from": "claimed promote", "when": recorded}
        old = subject.generation()
        assert subject.restore(other(old), **order).code == KILLED
        assert subject.state().files.keys() > subject.states[old].files.keys()
        (run,) = subject.active_runs()
        subject.project.succeed("shell", "--no-imports", "-c", BURY)
        age_failed(subject)
        return run

    fail()
    done = subject.succeed(*PRUNE, counting_from="claimed prune")
    assert subject.left_behind() == []
    for number, at in enumerate(stops(done, subject, "prune")):
        old, run = subject.generation(), fail()
        stopped = zombies.stop("prune", PRUNE, at)
        (prune,) = subject.active_runs()
        since = ("resumed", "given up, replaced", "pruned", "replaced")[number % 4]
        if since == "given up, replaced":  # what the failed restore has staged is still there
            zombies.give_up()
        if since == "resumed" and subject.run("resume_run", run).code != 0:
            since = "replaced"  # what it needs was removed before the prune was stopped
            age_failed(subject)
        if since.endswith("replaced"):
            subject.succeed_restore(other(old))
        if since != "given up, replaced":
            subject.succeed("resume_run", prune)
        assert subject.generation() == (old if since == "pruned" else other(old)), at
        zombies.go_on(stopped, f"prune, {since}")
        if since == "given up, replaced":
            age_failed(subject)
            subject.succeed(*PRUNE)
            assert subject.left_behind() == [], at


def test_stopped_in_a_prune_of_what_can_not_be_undone_any_more(zombies: Zombies) -> None:
    """Another restore comes, or somebody undoes it after all, while it is stopped."""
    subject = zombies.subject
    subject.succeed(*PRUNE)
    subject.succeed_restore(other(subject.generation()))
    done = subject.succeed(*PRUNE, counting_from="claimed prune")
    for number, at in enumerate(stops(done, subject, "prune")):
        subject.succeed_restore(other(subject.generation()))
        old = subject.generation()
        stopped = zombies.stop("prune", PRUNE, at)
        (prune,) = subject.active_runs()
        since = ("pruned", "undone", "replaced")[number % 3]
        if since == "undone":
            subject.run(*UNDO)  # too late: its tables are gone
            assert subject.generation() == old, at
            age_failed(subject)
        if since == "replaced":
            subject.succeed_restore(other(old))
        subject.succeed("resume_run", prune)
        assert subject.generation() == (other(old) if since == "replaced" else old), at
        zombies.go_on(stopped, f"expired, {since}")
