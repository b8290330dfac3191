"""kill -9 all through an undo and a reset: live is the state from before or the one wanted."""

import pytest

from tests.chaos.reading import reader_of
from tests.chaos.subject import KILLED, State, Subject
from tests.chaos.test_kills import other, verdict

DEATHS = 6


def deaths(subject: Subject, step: str, *command: str) -> list[int]:
    """Run the command to its end; return moments that are evenly spread over the step."""
    moments = subject.succeed(*command, counting_from=f"claimed {step}").moments
    last = moments.index(f"recorded {step}")
    return [round(last * (n + 0.5) / DEATHS) for n in range(DEATHS)]


def die_and_resume(subject: Subject, step: str, at: int, *command: str) -> State:
    """Kill the command there; return what live was then. Afterwards the run is finished."""
    ending = subject.run(*command, counting_from=f"claimed {step}", at=at)
    assert ending.code == KILLED, ending.text
    now = subject.state()
    (run,) = subject.active_runs()
    subject.succeed("resume_run", run)
    assert subject.left_behind() == []
    return now


def test_death_all_through_undo(subject: Subject) -> None:
    """Undo is undone by undo: each leads to the other generation."""
    first = subject.generation()
    subject.succeed_restore(other(first))
    with reader_of(subject.project):
        for at in deaths(subject, "undo", "undo_restore", "--confirm"):
            old = subject.generation()
            now = die_and_resume(subject, "undo", at, "undo_restore", "--confirm")
            verdict(subject.states[old], subject.states[other(old)], now)
            assert subject.generation() == other(old)


@pytest.mark.parametrize("step", ["reinit", "promote"])
def test_death_all_through_a_reset(subject: Subject, step: str) -> None:
    """What the defaults are, bit for bit, is known when the run has been finished."""
    old = subject.state()
    reset = ("system_reinit", "--confirm", "--no-safety-backup")
    moments = deaths(subject, step, *reset)
    subject.succeed("undo_restore", "--confirm")
    for at in moments[::2]:
        now = die_and_resume(subject, step, at, *reset)
        new = subject.state()
        assert new.files == {}
        verdict(old, new, now)
        subject.succeed("undo_restore", "--confirm")
        assert subject.state() == old
