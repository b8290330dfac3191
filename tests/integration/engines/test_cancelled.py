"""A cancelled step stops within seconds, whatever its database is executing for it."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from contextvars import copy_context
from datetime import timedelta
from typing import Any

import pytest
from django.db import DatabaseError, connection, connections
from django.db.backends.signals import connection_created
from pytest_django import Settings

from backup_tasks import ledger
from backup_tasks.engines import Engine, engine_for
from backup_tasks.engines.interruption import Statements
from backup_tasks.errors import Cancelled, LeaseLost
from backup_tasks.models import Run, Step
from backup_tasks.package.streams import copy
from backup_tasks.rows import parallel_dump, worker_pool
from backup_tasks.rows.codec import RowCodec
from backup_tasks.rows.worker_pool import Perform, Rows, WorkerTask, run_all
from backup_tasks.runs import chains, execution
from backup_tasks.steps import Work
from backup_tasks.storage.files import Tree
from backup_tasks.storage.folder import Void
from tests.integration.celery.stage import until
from tests.integration.engines.test_parallel_dump import jobs
from tests.services import Project

SECONDS = 5.0
"""That an operator waits for a cancelled step."""
ENDLESS = {
    "sqlite": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i)"
    " FROM n",
    "postgres": "SELECT pg_sleep(600)",
    "mariadb": "SELECT count(*) FROM information_schema.columns a, information_schema.columns b,"
    " information_schema.columns c, information_schema.columns d",
}


@pytest.fixture
def execute(
    on_project: Project, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., execution.Outcome]:
    """Call it with a verb, and what to do once it has begun, for the outcome of a step that does
    it: a drill's, which may write to live. The outcome must come soon after that."""

    def call(verb: Callable[[Work], None], then: Callable[[Run], object]) -> execution.Outcome:
        begun, done = threading.Event(), []

        def fetch(work: Work) -> dict[str, Any]:
            begun.set()
            verb(work)
            return {}

        monkeypatch.setitem(execution.VERBS, "fetch", fetch)
        run = chains.start("restore", trigger="command")

        def disturb() -> None:
            try:
                assert begun.wait(30)
                then(run)
                done.append(time.monotonic())
            finally:
                connections.close_all()

        thread = threading.Thread(target=disturb)
        thread.start()
        outcome = execution.execute_step(run.pk, "fetch")
        thread.join()
        assert time.monotonic() - done[0] < SECONDS
        return outcome

    return call


def _cancel(run: Run) -> None:
    chains.cancel(run.pk)
    assert Run.objects.get(pk=run.pk).live_lock, "a step is at work"


def _take_over(run: Run) -> None:
    Step.objects.filter(run=run, name="fetch").update(attempt=2)


Execute = Callable[..., execution.Outcome]


def test_a_statement_that_a_cancelled_step_waits_for_is_ended_and_live_is_free(
    engine: str, execute: Execute
) -> None:
    def reads_for_ever(work: Work) -> None:
        with engine_for("default").snapshot(), connections["default"].cursor() as cursor:
            cursor.execute(ENDLESS[engine])

    outcome = execute(reads_for_ever, _cancel)

    assert isinstance(outcome, execution.Failed)
    assert isinstance(outcome.error, Cancelled), outcome.error
    run = Run.objects.get()
    assert (run.state, run.live_lock) == (Run.State.CANCELLED, None)
    assert chains.start("reinit", trigger="command").live_lock, "it is the next one's"


def test_a_statement_on_a_connection_from_before_the_step_is_ended_too(
    engine: str, execute: Execute
) -> None:
    def reads_for_ever(work: Work) -> None:
        with connection.cursor() as cursor:
            cursor.execute(ENDLESS[engine])

    connection.ensure_connection()

    assert isinstance(execute(reads_for_ever, _take_over), execution.Lost)


@pytest.mark.parametrize("engine", ["sqlite"])
@pytest.mark.parametrize(("then", "kind"), [(_cancel, Cancelled), (_take_over, LeaseLost)])
def test_a_loop_that_reports_progress_stops(
    execute: Execute, then: Callable[[Run], None], kind: type[Exception]
) -> None:
    def counts_for_ever(work: Work) -> None:
        number = 0
        while number := number + 1:
            work.progress(number)

    outcome = execute(counts_for_ever, then)

    assert isinstance(outcome, execution.Failed | execution.Lost)
    assert isinstance(outcome.error, kind)


@pytest.mark.parametrize("engine", ["sqlite"])
@pytest.mark.parametrize("what", ["hashed", "copied"])
def test_a_file_that_is_read_for_half_an_hour_is_left(
    what: str, on_project: Project, execute: Execute
) -> None:
    on_project.media.mkdir(exist_ok=True)
    large = on_project.media / "large"
    with large.open("wb") as file:
        file.truncate(1 << 40)  # it takes no space

    def reads_for_ever(work: Work) -> None:
        if what == "hashed":
            Tree("default").entry("large")
        else:
            with large.open("rb") as content:
                copy(content, Void())

    outcome = execute(reads_for_ever, _cancel)

    assert isinstance(outcome, execution.Failed)
    assert isinstance(outcome.error, Cancelled), outcome.error


@pytest.mark.parametrize("engine", ["postgres"])
def test_a_dump_that_waits_for_a_lock_is_cancelled(
    on_project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = chains.start("backup", trigger="command")
    assert isinstance(execution.execute_step(run.pk, "snapshot"), execution.Succeeded)
    other = connection.copy()
    outcomes: list[execution.Outcome] = []

    def work() -> None:
        try:
            outcomes.append(execution.execute_step(run.pk, "dump"))
        finally:
            connections.close_all()

    thread = threading.Thread(target=work)
    with other.cursor() as cursor:
        cursor.execute("BEGIN; LOCK TABLE documents_document IN ACCESS EXCLUSIVE MODE")
        thread.start()
        waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"

        def waits() -> bool:
            cursor.execute(waiting)
            return bool(cursor.fetchone()[0])

        until(waits, "the dump waits for the table")

        chains.cancel(run.pk)

        thread.join(SECONDS)
        assert not thread.is_alive()
    other.close()
    assert isinstance(outcomes[0], execution.Failed)
    assert isinstance(outcomes[0].error, Cancelled)


@pytest.mark.parametrize("engine", ["sqlite", "postgres"])
def test_a_thread_that_was_given_the_step_s_context_is_interrupted_with_it(
    engine: str, on_project: Project
) -> None:
    statements, errors = Statements(), []
    begun = threading.Event()

    def work() -> None:
        try:
            with connection.cursor() as cursor:
                begun.set()
                cursor.execute(ENDLESS[engine])
        except DatabaseError as error:
            errors.append(error)
        finally:
            connections.close_all()

    with statements.gathered(connections["default"]):
        thread = threading.Thread(target=copy_context().run, args=[work])
        thread.start()
        assert begun.wait(30)
        while thread.is_alive():
            statements.interrupt()
            thread.join(0.1)

    assert len(errors) == 1
    assert connection.connection is None, "a request that comes late hits nothing"


@contextmanager
def worker_side(engine: Engine, token: str, schema: str | None) -> Iterator[Perform]:
    """A helper whose statement would take ten minutes."""

    def do(codec: RowCodec, order: Mapping[str, Any], progress: Rows) -> dict[str, Any]:
        with connections[engine.alias].cursor() as cursor:
            cursor.execute(ENDLESS["postgres"])
        return {}

    with engine.join_snapshot(token, schema):
        yield do


def test_a_helper_that_is_stopped_leaves_no_statement_at_its_server(demo: Project) -> None:
    engine, all_jobs = engine_for("default"), jobs()

    def at_work() -> int:
        # Of its own: in the transaction of the snapshot the server shows what it showed first.
        with closing(connection.copy()) as outside, outside.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity"
                " WHERE datname = current_database() AND query LIKE 'SELECT pg_sleep%'"
                " AND state = 'active'"
            )
            (found,) = cursor.fetchone()
        return int(found)

    def read(job: parallel_dump.Job, rows: Rows) -> None:
        until(at_work, "the helper is at work")
        raise Cancelled("the run was cancelled")

    with engine.snapshot():
        shared = engine.export_snapshot([job.codec.table for job in all_jobs], least=1)
        assert shared
        terms = WorkerTask[parallel_dump.Job, None](
            worker_side=f"{__name__}.worker_side",
            token=shared.token,
            schema=None,
            order=lambda job: {},
            read=lambda answer: None,
        )
        sizes = [worker_pool.BYTES_PER_WORKER] * len(all_jobs)
        with pytest.raises(Cancelled):
            run_all(engine, all_jobs, read, lambda done, note: None, sizes=sizes, task=terms)

    # The session ends a moment after its client has; left alone, it would sleep ten minutes.
    until(lambda: not at_work(), "the server has ended the statement", timeout=SECONDS)


@pytest.fixture
def beats() -> Iterator[list[str]]:
    """The extensions of a lease that heartbeats send, as the database gets them."""
    sent: list[str] = []

    def seen(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if threading.current_thread().name.startswith("lease-") and sql.startswith("UPDATE"):
            sent.append(sql)
        return execute(sql, params, many, context)

    def watch(connection: Any, **_: Any) -> None:
        connection.execute_wrappers.append(seen)

    connection_created.connect(watch)
    yield sent
    connection_created.disconnect(watch)


@pytest.mark.parametrize("engine", ["sqlite"])
def test_a_heartbeat_warns_of_nothing_in_a_run_that_is_well(
    on_project: Project,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    beats: list[str],
) -> None:
    """It beats on for a moment when the step has written how it ended."""
    settings.BACKUP = {**settings.BACKUP, "LEASE": timedelta(seconds=0.2)}
    monkeypatch.setitem(execution.VERBS, "verify", lambda work: {})
    run = chains.start("verify", trigger="command")
    stop = ledger.heartbeat.Heartbeat.stop

    def stop_late(heartbeat: ledger.heartbeat.Heartbeat) -> None:
        assert Step.objects.get(run=run).state == Step.State.SUCCEEDED
        before = len(beats)
        until(
            lambda: len(beats) > before + 2 or not heartbeat._thread.is_alive(),
            "it has beaten for a step that has ended",
        )
        stop(heartbeat)

    monkeypatch.setattr(ledger.heartbeat.Heartbeat, "stop", stop_late)

    assert isinstance(execution.execute_step(run.pk, "verify"), execution.Succeeded)

    assert caplog.messages == []


@pytest.mark.parametrize("engine", ["sqlite"])
@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"attempt": 2}, "attempt 2 has taken the step over"),
        ({"state": Step.State.PENDING}, "its lease ran out, and the step waits"),
    ],
)
def test_a_heartbeat_warns_of_a_step_that_was_lost_while_it_works(
    on_project: Project,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    change: dict[str, Any],
    told: str,
) -> None:
    monkeypatch.setattr(ledger.heartbeat, "LOOK_EVERY", 0.01)
    run = chains.start("verify", trigger="command")
    claim = ledger.claim(run.pk, "verify")
    assert isinstance(claim, ledger.Claim)
    with claim, claim.working():
        assert claim.stop_reason is None
        Step.objects.filter(pk=claim.step.pk).update(**change)
        until(lambda: claim.stop_reason, "the heartbeat has noticed")
    (message,) = [line for line in caplog.messages if "is given up" in line]
    assert told in message
