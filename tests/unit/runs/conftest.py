"""A ledger in a real database, once per engine, and runs to try it with."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from pytest_django import Settings

from backup_tasks import ledger
from backup_tasks.models import Run, Step
from backup_tasks.runs import execution
from backup_tasks.steps import Work
from tests.services import Project

STEPS = ("snapshot", "dump", "pack")

StartRun = Callable[..., Run]
Verbs = Callable[..., list[str]]


@pytest.fixture
def start_run(on_project: Project) -> StartRun:
    """Call it for a new backup run of three steps."""

    def start(**options: Any) -> Run:
        asked = {"params": {}, "step_names": STEPS, "trigger": "command", **options}
        run, _ = ledger.start("backup", **asked)
        return run

    return start


@pytest.fixture
def short_lease(settings: Settings) -> None:
    """A claim lasts a fraction of a second without a heartbeat."""
    settings.BACKUP = {**settings.BACKUP, "LEASE": timedelta(seconds=0.4)}


def claimed(run: Run, step: str = "snapshot", **options: Any) -> ledger.Claim:
    """The claim of a step; the test fails where it is not granted."""
    claim = ledger.claim(run.pk, step, **options)
    assert isinstance(claim, ledger.Claim), claim
    return claim


def by_another(run: Run, step: str = "snapshot", *, owner: str = "elsewhere:-:1:-") -> ledger.Claim:
    """A claim that a process of another host holds: nobody here can tell whether it is alive."""
    claim = claimed(run, step)
    steps_of(run).filter(name=step).update(owner=owner)
    return claim


def let_the_lease_run_out(run: Run) -> None:
    """What passing time does to a claim without heartbeats, and to a message that got lost."""
    long_ago = timezone.now() - timedelta(hours=1)
    steps_of(run).exclude(state="succeeded").update(lease_until=long_ago)


def steps_of(run: Run) -> Any:
    return Step.objects.filter(run=run)


def step_of(run: Run, name: str) -> Step:
    return Step.objects.get(run=run, name=name)


def again(run: Run) -> Run:
    """The run as it is now."""
    return Run.objects.get(pk=run.pk)


@pytest.fixture
def verbs(monkeypatch: pytest.MonkeyPatch) -> Verbs:
    """Call it with `step=function` for verbs that stand in; the others do nothing. It returns the
    list of steps that will have been executed, in order."""

    def put(**functions: Callable[[Work], Mapping[str, Any]]) -> list[str]:
        executed: list[str] = []

        def verb(name: str) -> Callable[[Work], dict[str, Any]]:
            def do(work: Work) -> dict[str, Any]:
                executed.append(name)
                return dict(functions[name](work)) if name in functions else {}

            return do

        for name in {*STEPS, "verify", "fit", "prune", *functions}:
            monkeypatch.setitem(execution.VERBS, name, verb(name))
        return executed

    return put


def failing(error: Exception, *, times: int) -> Callable[[Work], dict[str, Any]]:
    """A verb that fails so often, then works."""
    left = [times]

    def verb(work: Work) -> dict[str, Any]:
        left[0] -= 1
        if left[0] >= 0:
            raise error
        return {"tries": times + 1}

    return verb


@pytest.fixture
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Transient errors are retried at once, three times."""
    monkeypatch.setattr(execution, "RETRY", execution.Retry(times=3, first=0.0))
