"""The database cuts the run off, or does not let it in; a disk fills up. Each time an error says
what happened and what to do next, live is untouched, and `resume_run` succeeds.

What was really done: sessions are ended with pg_terminate_backend by another one; timeouts and
locks are the server's own; a full disk is RLIMIT_FSIZE of the child, so that the operating system
refuses to let any file grow beyond a size (EFBIG, where a full disk says ENOSPC). A PostgreSQL
server's own disk was not filled.
"""

import pytest

from tests.chaos.clients import client_of
from tests.chaos.reading import reader_of
from tests.chaos.subject import Subject

POSTGRES = pytest.mark.parametrize("engine", ["postgres"])


def other(subject: Subject) -> str:
    return {"a": "b", "b": "a"}[subject.generation()]


def resumed(subject: Subject, generation: str) -> None:
    """The run that failed last can be resumed, and then all is well."""
    (run,) = subject.ask("SELECT id FROM backup_tasks_run ORDER BY created_at DESC LIMIT 1")
    subject.succeed("resume_run", run)
    assert subject.generation() == generation
    assert subject.left_behind() == []


@POSTGRES
@pytest.mark.parametrize("step", ["reinit", "load", "validate", "promote"])
def test_a_session_that_is_cut_off_is_tried_again_and_succeeds(subject: Subject, step: str) -> None:
    """All sessions of the run end in the middle of the step's statements, as in a failover."""
    new = other(subject)
    with reader_of(subject.project):
        ending = subject.restore(new, fault=["cut_off", step])

    assert ending.code == 0, ending.text
    assert "the database did not answer" in ending.text
    assert subject.generation() == new
    assert subject.left_behind() == []


@POSTGRES
@pytest.mark.parametrize("step", ["load", "validate"])
def test_a_statement_timeout_fails_the_run_with_advice(subject: Subject, step: str) -> None:
    """P4: a restore that failed had dropped and committed first."""
    new, before = other(subject), subject.state()

    ending = subject.restore(new, fault=["take_too_long", step])

    assert ending.code == 1
    assert "statement timeout" in ending.text
    assert "resume_run" in ending.text
    assert subject.state() == before
    resumed(subject, new)


@POSTGRES
def test_a_lock_that_is_never_given_back_fails_the_run_and_stops_nobody_else(
    subject: Subject,
) -> None:
    new, before = other(subject), subject.state()
    with (
        reader_of(subject.project) as reader,
        client_of(subject.project) as idle,
    ):
        idle.execute("BEGIN")
        idle.execute("SELECT * FROM shelf_document")
        ending = subject.restore(new, lock_tries=2)
        idle.execute("COMMIT")

    assert ending.code == 1
    assert "other clients held the tables" in ending.text
    assert "pg_stat_activity" in ending.text
    assert reader.looks.total() > 20
    assert subject.state() == before
    resumed(subject, new)


@pytest.mark.parametrize(("step", "limit"), [("fetch", 500), ("safety", 500), ("load", 20_000)])
def test_a_disk_that_is_full_fails_the_run_and_hurts_nothing(
    subject: Subject, step: str, limit: int
) -> None:
    """P4, P9: every table is there, and the rerun is not blocked by files half copied."""
    if step == "load" and subject.project.engine != "sqlite":
        limit = 3  # only the files are written by this program
    new, before = other(subject), subject.state()

    ending = subject.restore(new, file_limit=[step, limit])

    assert ending.code == 1
    assert "File too large" in ending.text or "disk I/O error" in ending.text
    assert subject.state() == before
    resumed(subject, new)


def test_a_disk_without_room_is_told_before_anything_is_made(subject: Subject) -> None:
    """What is free is what the operating system says; here it says a little."""
    new, before, schemas = other(subject), subject.state(), subject.schemas()

    ending = subject.restore(new, free=10)

    assert ending.code == 1
    assert "10 bytes free" in ending.text
    assert "needed (the package " in ending.text
    assert subject.state() == before
    assert subject.schemas() == schemas
    resumed(subject, new)


@pytest.mark.parametrize(("step", "limit"), [("dump", 100), ("pack", 300)])
def test_a_backup_that_can_not_be_written_is_no_package(
    subject: Subject, step: str, limit: int
) -> None:
    """F2, P7: no stub takes its place, nothing is published, and it says so."""
    store = subject.project.store
    published = sorted(store.iterdir()) if store.exists() else []

    ending = subject.run("create_backup", file_limit=[step, limit])

    assert ending.code == 1
    assert "File too large" in ending.text
    assert (sorted(store.iterdir()) if store.exists() else []) == published
    (run,) = subject.ask("SELECT id FROM backup_tasks_run ORDER BY created_at DESC LIMIT 1")
    subject.succeed("resume_run", run)
    assert len(set(store.iterdir()) - set(published)) == 3  # with sidecar and standing
    assert subject.left_behind() == []
