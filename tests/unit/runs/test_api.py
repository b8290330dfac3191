"""What a project's own code uses: start, wait, run here, be told of ends."""

import inspect
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connections, transaction

from backup_tasks import api, ledger, tasks
from backup_tasks.errors import (
    AnotherRunActive,
    BackupError,
    Cancelled,
    DumpFailed,
    ErrorRecord,
    Misconfigured,
    Permanent,
    Transient,
    of_record,
)
from backup_tasks.models import Run
from backup_tasks.runs import chains
from tests.services import Project
from tests.unit.runs.conftest import StartRun, Verbs, again, claimed, failing

STEPS = chains.CHAINS["backup"]


@pytest.fixture
def engine() -> str:
    """Nothing here depends on the database."""
    return "sqlite"


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The runs whose messages reached a broker."""
    ids: list[str] = []
    monkeypatch.setattr(tasks, "_publish", lambda run: ids.append(run.pk))
    return ids


@pytest.fixture
def told() -> Iterator[list[tuple[str, str]]]:
    """Ids and states that the signal told."""
    ends: list[tuple[str, str]] = []

    def receive(sender: type[Run], run: Run, **kwargs: Any) -> None:
        ends.append((run.pk, run.state))

    api.run_ended.connect(receive)
    yield ends
    api.run_ended.disconnect(receive)


def test_the_door_has_these_names_and_no_other() -> None:
    assert {
        name: str(inspect.signature(getattr(api, name)))
        for name in api.__all__
        if inspect.isfunction(getattr(api, name))
    } == {
        "cancel": "(run_id: 'str', *, requested_by: 'str' = '') -> 'Run'",
        "find": "(run_id: 'str') -> 'Run'",
        "resume": "(run_id: 'str') -> 'Run'",
        "run_here": "(kind: 'str', params: 'Mapping[str, Any] | None' = None, *, "
        "requested_by: 'str' = '', watcher: 'Watcher | None' = None) -> 'Run'",
        "start": "(kind: 'str', params: 'Mapping[str, Any] | None' = None, *, "
        "requested_by: 'str' = '') -> 'Run'",
        "wait": "(run_id: 'str', *, timeout: 'float | None' = None) -> 'Run'",
    }
    assert set(api.__all__) - {"cancel", "find", "resume", "run_here", "start", "wait"} == {
        "Watcher",
        "run_ended",
        "run_started",
    }


def test_a_run_is_handed_to_the_workers_once_it_is_committed(
    on_project: Project, published: list[str]
) -> None:
    with transaction.atomic():
        run = api.start("backup", {"label": "before-import"}, requested_by="ada")
        assert published == []

    assert published == [run.pk]
    assert (run.on_workers, run.trigger, run.requested_by) == (True, "code", "ada")
    assert api.find(run.pk).params["label"] == "before-import"


def test_whoever_waits_gets_the_run_when_it_has_succeeded(
    on_project: Project, published: list[str], verbs: Verbs
) -> None:
    verbs()
    run = api.start("backup")

    def work() -> None:
        try:
            for step in STEPS:
                ledger.succeed(claimed(run, step), {}, report={"n": 1}, package="p.tar.zst")
        finally:
            connections.close_all()

    worker = threading.Thread(target=work)
    worker.start()
    run = api.wait(run.pk, timeout=60)
    worker.join()

    assert (run.state, run.package, run.report) == (Run.State.SUCCEEDED, "p.tar.zst", {"n": 1})


def test_whoever_waits_gets_the_error_that_the_run_failed_with(start_run: StartRun) -> None:
    failed, cancelled, waiting = start_run(), start_run(), start_run()
    ledger.fail(claimed(failed), DumpFailed("a row can't be written", obj="a.b", hint="Look."))
    api.cancel(cancelled.pk, requested_by="ada")

    with pytest.raises(DumpFailed, match="a row can't be written") as raised:
        api.wait(failed.pk)
    assert (raised.value.obj, raised.value.hint) == ("a.b", "Look.")
    with pytest.raises(Cancelled, match="by ada"):
        api.wait(cancelled.pk)
    with pytest.raises(TimeoutError, match=f"{waiting.pk} is pending"):
        api.wait(waiting.pk, timeout=0)


def test_nobody_waits_inside_a_transaction_for_what_begins_after_it(start_run: StartRun) -> None:
    run = start_run()

    with transaction.atomic(), pytest.raises(Misconfigured, match="inside a transaction"):
        api.wait(run.pk)


def test_a_run_is_executed_here_without_further_arguments(
    on_project: Project, verbs: Verbs, told: list[tuple[str, str]]
) -> None:
    executed = verbs()

    run = api.run_here("backup", {"type": "database"})

    assert tuple(executed) == STEPS
    assert run.params["type"] == "database"
    assert told == [(run.pk, "succeeded")]


def test_the_ends_of_runs_are_told_once_they_are_committed(
    start_run: StartRun, verbs: Verbs, told: list[tuple[str, str]], on_project: Project
) -> None:
    verbs(dump=failing(Permanent("no"), times=1))
    with pytest.raises(Permanent):
        api.run_here("backup")
    with transaction.atomic():
        run = start_run()
        api.cancel(run.pk)
        assert len(told) == 1
    gone = start_run()
    ledger.fail_run(gone.pk, Permanent("its process died"))
    ledger.fail_run(gone.pk, Permanent("its process died"))

    assert [state for _, state in told] == ["failed", "cancelled", "failed"]


def test_a_receiver_that_fails_fails_no_run(
    on_project: Project, verbs: Verbs, caplog: pytest.LogCaptureFixture
) -> None:
    def receive(sender: type[Run], run: Run, **kwargs: Any) -> None:
        raise ZeroDivisionError

    verbs()
    api.run_ended.connect(receive)
    try:
        assert api.run_here("backup").state == Run.State.SUCCEEDED
    finally:
        api.run_ended.disconnect(receive)
    assert "ZeroDivisionError" in caplog.text


def test_a_run_that_no_broker_took_has_failed_and_can_be_resumed(
    on_project: Project, monkeypatch: pytest.MonkeyPatch, published: list[str]
) -> None:
    take: Callable[[Run], None] = tasks._publish

    def away(run: Run) -> None:
        raise Transient("the broker does not answer", obj=run.pk)

    monkeypatch.setattr(tasks, "_publish", away)
    with pytest.raises(Transient, match="does not answer") as raised:
        api.start("backup")
    assert Run.objects.get().state == Run.State.FAILED
    assert "api.resume" in raised.value.hint

    monkeypatch.setattr(tasks, "_publish", take)
    assert api.resume(raised.value.obj).state == Run.State.PENDING
    assert published == [raised.value.obj]


@pytest.mark.parametrize(
    ("kind", "params", "named", "hint"),
    [
        ("bakup", {}, "no kind of run 'bakup'", "backup, restore"),
        ("backup", {"colour": "blue"}, "no parameter colour", "type, output"),
        ("undo", {"label": "x"}, "no parameter label", "accept_missing_files"),
        ("backup", {"type": "all"}, "the parameter type of a backup run is 'all'", "'full'"),
        ("backup", {"encrypt": "yes"}, "parameter encrypt .* is 'yes'", "bool or None"),
        ("backup", {"include": "auth"}, "parameter include .* is 'auth'", "list"),
        ("restore", {"mode": "replace"}, "parameter mode .* is 'replace'", "'exact', 'merge'"),
        ("restore", {"package": 7}, "parameter package .* is 7", "str"),
        ("restore", {"safety": None}, "parameter safety .* is None", "bool"),
    ],
)
def test_what_makes_no_sense_is_named_with_what_there_is(
    on_project: Project, kind: str, params: dict[str, Any], named: str, hint: str
) -> None:
    with pytest.raises(Misconfigured, match=named) as raised:
        api.start(kind, params)

    assert hint in raised.value.hint
    assert not Run.objects.exists()


def test_every_default_of_every_kind_is_taken(on_project: Project) -> None:
    for kind, params in chains.PARAMS.items():
        try:
            chains.start(kind, trigger="code", params=params)
        except AnotherRunActive as error:
            chains.cancel(error.obj)
            chains.start(kind, trigger="code", params=params)


def test_an_error_is_made_again_of_its_record() -> None:
    error = DumpFailed("what", obj="object", hint="hint")
    assert of_record(error.record()).record() == error.record()
    later: ErrorRecord = {**error.record(), "kind": "OfALaterVersion"}
    assert type(of_record(later)) is Permanent
    assert type(of_record({**error.record(), "kind": "ClassVar"})) is Permanent
    assert isinstance(of_record(None), BackupError)


def test_the_record_of_a_run_that_was_cancelled_too_late_is_its_success(
    start_run: StartRun, told: list[tuple[str, str]]
) -> None:
    run = start_run(step_names=["promote"])
    claim = claimed(run, "promote")
    api.cancel(run.pk)
    ledger.succeed(claim, {}, report={})

    assert again(run).state == Run.State.SUCCEEDED
    assert [state for _, state in told] == ["cancelled", "succeeded"]
