"""kill -9 on MariaDB between the exchange of the tables and its record, which are two transactions:
live has the new rows, and nothing says so but where the old tables are."""

from collections.abc import Iterator

import pytest

from tests.chaos.reading import reader_of
from tests.chaos.subject import KILLED, Subject
from tests.chaos.test_kills import BURY, other

pytestmark = pytest.mark.parametrize("engine", ["mariadb"])


@pytest.fixture
def old(subject: Subject) -> Iterator[str]:
    """The generation that was live before a restore died in doubt."""
    with reader_of(subject.project):
        begin = "claimed promote"
        old = subject.generation()
        for generation in (other(old), old):  # afterwards each counter is as far as it gets
            subject.succeed_restore(generation)
        moments = subject.succeed_restore(other(old), counting_from=begin).moments
        subject.succeed_restore(old)
        (exchange,) = [n for n, what in enumerate(moments) if "RENAME TABLE" in what]
        at = moments.index("commit", exchange)
        assert subject.restore(other(old), counting_from=begin, at=at).code == KILLED
        assert subject.state().rows == subject.states[other(old)].rows
        assert subject.ask("SELECT run_id FROM backup_tasks_undopoint WHERE files_done = 0") == []
        yield old
    a_day_later = "UPDATE backup_tasks_run SET finished_at = '2026-01-01 00:00:00'"
    subject.client.execute(f"{a_day_later} WHERE state = 'failed'")
    subject.succeed("prune_packages")
    assert subject.left_behind() == []


def test_it_can_only_be_finished(subject: Subject, old: str) -> None:
    now, (run,) = subject.state(), subject.active_runs()

    cancel = subject.run("cancel_run", run)
    undo = subject.run("undo_restore", "--confirm")
    subject.project.succeed("shell", "--no-imports", "-c", BURY)
    undo_of_the_failed = subject.run("undo_restore", "--confirm")
    subject.succeed("prune_packages")

    assert cancel.code == 1
    assert "too late" in cancel.text
    assert undo.code == 4
    assert undo_of_the_failed.code == 1
    assert f"resume_run {run}" in undo_of_the_failed.text
    assert subject.state() == now
    subject.succeed("resume_run", run)
    assert subject.generation() == other(old)


def test_it_is_not_finished_over_a_later_one(subject: Subject, old: str) -> None:
    (run,) = subject.active_runs()
    subject.project.succeed("shell", "--no-imports", "-c", BURY)
    subject.succeed_restore(old)

    resumed = subject.run("resume_run", run)

    assert resumed.code == 1
    assert "a later run has replaced live since" in resumed.text
    assert subject.generation() == old
