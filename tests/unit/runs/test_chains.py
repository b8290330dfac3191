"""Which steps a run has."""

from datetime import timedelta
from typing import Any

import pytest

from backup_tasks import ledger
from backup_tasks.errors import AnotherRunActive, Misconfigured
from backup_tasks.models import Run
from backup_tasks.runs import chains
from tests.services import Project
from tests.unit.runs.conftest import again, claimed


@pytest.fixture
def engine() -> str:
    """What is tried here does not depend on the database."""
    return "sqlite"


@pytest.mark.parametrize(
    ("kind", "params", "steps"),
    [
        ("backup", {}, "snapshot dump pack verify fit prune"),
        ("restore", {}, "fetch snapshot safety reinit load validate promote"),
        ("restore", {"safety": False}, "fetch snapshot reinit load validate promote"),
        ("drill", {}, "fetch reinit load validate discard"),
        ("cycle", {}, "snapshot dump pack verify reinit load validate discard"),
        ("cycle", {"promote": True}, "snapshot dump pack verify reinit load validate promote"),
        ("reinit", {}, "safety reinit validate promote"),
        ("reinit", {"safety": False}, "reinit validate promote"),
        ("verify", {}, "verify"),
        ("prune", {}, "prune"),
        ("undo", {}, "undo"),
    ],
)
def test_the_steps_of_each_kind(kind: str, params: dict[str, Any], steps: str) -> None:
    assert chains.steps_of(kind, {**chains.PARAMS[kind], **params}) == tuple(steps.split())


def test_every_kind_of_run_has_a_chain_and_parameters() -> None:
    assert set(chains.CHAINS) == set(chains.PARAMS) == set(Run.Kind.values)


@pytest.mark.parametrize(
    ("kind", "params", "writes"),
    [
        ("restore", {}, True),
        ("reinit", {}, True),
        ("undo", {}, True),
        ("cycle", {"promote": True}, True),
        ("cycle", {}, False),
        ("drill", {}, False),
        ("backup", {}, False),
    ],
)
def test_a_run_that_replaces_live_data_holds_the_lock_on_live(
    on_project: Project, kind: str, params: dict[str, Any], writes: bool
) -> None:
    run = chains.start(kind, trigger="command", params=params)

    assert (again(run).live_lock == "live") is writes


def test_a_run_keeps_all_its_parameters_and_takes_no_unknown_one(on_project: Project) -> None:
    run = chains.start("backup", trigger="command", params={"label": "before-upgrade"})
    assert run.params == {**chains.PARAMS["backup"], "label": "before-upgrade"}

    with pytest.raises(Misconfigured, match="colour"):
        chains.start("backup", trigger="command", params={"colour": "blue"})


def test_a_drill_follows_a_scheduled_backup_once(on_project: Project) -> None:
    backup = chains.start_once("nightly-1", "backup", trigger="schedule", params={"then": "drill"})
    assert backup is not None
    assert chains.follow(backup) is None, "not before it has succeeded"
    for step in chains.CHAINS["backup"]:
        ledger.succeed(claimed(backup, step), {}, report={}, package="p.tar.zst")

    drill = chains.follow(again(backup))

    assert drill is not None
    assert (drill.kind, drill.params["package"]) == ("drill", "p.tar.zst")
    assert drill.slot == f"drill-of-{backup.pk}"
    assert chains.follow(again(backup)) is None
    assert chains.follow_all() == []


def test_a_drill_whose_start_was_missed_is_caught_up_with_for_a_day(on_project: Project) -> None:
    backup = chains.start_once("nightly-1", "backup", trigger="schedule", params={"then": "drill"})
    assert backup is not None
    for step in chains.CHAINS["backup"]:
        ledger.succeed(claimed(backup, step), {}, report={}, package="p.tar.zst")

    ended = again(backup).finished_at
    assert ended is not None
    Run.objects.filter(pk=backup.pk).update(finished_at=ended - timedelta(days=2))
    assert chains.follow_all() == []
    Run.objects.filter(pk=backup.pk).update(finished_at=ended)
    assert [run.kind for run in chains.follow_all()] == ["drill"]


def test_a_resumed_run_takes_the_lock_on_live_again(on_project: Project) -> None:
    run = chains.start("reinit", trigger="command")
    ledger.fail(claimed(run, "safety"), Misconfigured("no store"))
    other = chains.start("undo", trigger="command")

    with pytest.raises(AnotherRunActive, match=other.pk):
        chains.resume(run.pk, on_workers=False)
    chains.cancel(other.pk)

    assert chains.resume(run.pk, on_workers=True).live_lock == "live"
    assert again(run).on_workers
