"""What a schedule is due for is started: once, whatever the clocks say, and again while it has
failed."""

import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from threading import Barrier
from typing import Any

import pytest
from django.db import connections
from pytest_django import Settings

from backup_tasks import ledger, moments, tasks
from backup_tasks.errors import Misconfigured, StorageRefused
from backup_tasks.models import Run
from backup_tasks.runs import chains, slot
from backup_tasks.schedules import Schedule
from backup_tasks.storage import workspace
from tests.services import Project
from tests.unit.runs.conftest import again, claimed

TODAY = date(2026, 11, 28)
NIGHTLY = Schedule(name="nightly", cron="30 2 * * *", drill=True)


@pytest.fixture
def engine() -> str:
    """Few of these tests depend on the database; they name it."""
    return "sqlite"


@pytest.fixture
def enqueued(monkeypatch: pytest.MonkeyPatch) -> list[Run]:
    """The runs that were handed to workers, of which there are none."""
    runs: list[Run] = []
    monkeypatch.setattr(tasks, "enqueue", runs.append)
    return runs


@contextmanager
def at(moment: datetime) -> Iterator[None]:
    """Inside, it is that moment."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(moments, "now", lambda: moment)
        yield


def half_past_two(**later: int) -> datetime:
    return datetime(2026, 11, 28, 2, 30, tzinfo=UTC) + timedelta(**later)


@pytest.mark.parametrize(
    ("moment", "day"),
    [
        (half_past_two(), TODAY),
        (half_past_two(seconds=-1), TODAY),
        (half_past_two(minutes=-10), TODAY),
        (half_past_two(minutes=10), TODAY),
        (half_past_two(hours=-1), TODAY),  # the local clock of beat was put forward
        (half_past_two(hours=15), TODAY),  # beat was down, and catches up
        (half_past_two(hours=-3), TODAY - timedelta(days=1)),
        (half_past_two(days=1), TODAY + timedelta(days=1)),
    ],
)
def test_a_start_near_the_time_that_it_is_due_is_that_night_s(moment: datetime, day: date) -> None:
    assert NIGHTLY.meant(moment).local.date() == day


def test_a_night_that_is_due_at_midnight_is_of_the_day_that_begins() -> None:
    almost = datetime(2026, 11, 27, 23, 59, 58, tzinfo=UTC)

    assert Schedule(name="midnight", cron="0 0 * * *").meant(almost).local.date() == TODAY


def test_a_worker_one_second_behind_takes_today_s_slot(
    on_project: Project, enqueued: list[Run]
) -> None:
    with at(half_past_two(days=-1)):
        tasks.scheduled(schedule="nightly")
    with at(half_past_two(seconds=-1)):
        answer = tasks.scheduled(schedule="nightly")

    assert answer == {"slot": "nightly-2026-11-28T02:30", "run_id": enqueued[1].pk, "started": True}
    assert len(enqueued) == 2


def test_a_slot_that_is_taken_is_told_with_the_run_that_took_it(
    on_project: Project, enqueued: list[Run], caplog: pytest.LogCaptureFixture
) -> None:
    with at(half_past_two()):
        tasks.scheduled(schedule="nightly")
    (first,) = enqueued
    Run.objects.update(created_at=half_past_two())
    caplog.set_level(logging.INFO)

    for later, level in ((timedelta(seconds=1), "INFO"), (timedelta(hours=20), "WARNING")):
        caplog.clear()
        with at(half_past_two() + later):
            answer = tasks.scheduled(schedule="nightly")

        assert answer == {"slot": "nightly-2026-11-28T02:30", "run_id": first.pk, "started": False}
        (record,) = caplog.records
        assert record.levelname == level
        assert first.pk in record.getMessage()
        skipped = Run.objects.exclude(pk=first.pk)
        assert skipped.count() == (level == "WARNING")
    assert enqueued == [first]

    with at(half_past_two() + timedelta(hours=21)):
        tasks.scheduled(schedule="nightly")
    told = skipped.get()  # once a night
    assert (told.kind, told.state, told.steps.count()) == ("backup", "cancelled", 0)
    assert first.pk in str(told.error)
    listed = on_project.succeed("runs").stdout
    (line,) = (line for line in listed.splitlines() if told.pk in line)
    assert "no backup is started: nightly-2026-11-28T02:30 has had its run" in line
    with at(half_past_two(days=1)):
        tasks.scheduled(schedule="nightly")
    assert len(enqueued) == 2


def test_a_schedule_that_the_settings_do_not_have_is_named(on_project: Project) -> None:
    with pytest.raises(Misconfigured, match="'hourly'") as raised:
        tasks.scheduled(schedule="hourly")

    assert "BACKUP['SCHEDULES'] has nightly" in raised.value.hint


def test_a_run_is_asked_for_what_its_schedule_says(
    on_project: Project, settings: Settings, enqueued: list[Run]
) -> None:
    settings.BACKUP = {
        **settings.BACKUP,
        "STORES": ["backups", "default"],
        "SCHEDULES": {
            "hourly": {"cron": "0 * * * *", "type": "database", "label": "hourly"},
            "weekly": {"cron": "0 5 * * sun", "run": "drill", "store": "default"},
        },
    }

    with at(half_past_two()):
        hourly = tasks.scheduled(schedule="hourly")["slot"]
        weekly = tasks.scheduled(schedule="weekly")["slot"]

    assert (hourly, weekly) == ("hourly-2026-11-28T02:00", "weekly-2026-11-22T05:00")
    backup, drill = enqueued
    asked = {name: backup.params[name] for name in ("type", "label", "then")}
    assert asked == {"type": "database", "label": "hourly", "then": ""}
    assert (drill.kind, drill.params["store"]) == ("drill", "default")


def last_night(**changed: Any) -> slot.Slot:
    """The slot of the last night."""
    due = NIGHTLY.meant(moments.now()).local.isoformat(timespec="minutes")
    return replace(slot.Slot(schedule="nightly", due=due), **changed)


def started(**changed: Any) -> Run:
    """The run of that slot."""
    params = NIGHTLY.params()
    run = chains.start_once(last_night(**changed).text, "backup", trigger="schedule", params=params)
    assert run is not None
    return run


def failed_night(*, ago: timedelta = timedelta(hours=2), attempt: int = 1) -> Run:
    """A nightly backup that failed so long ago."""
    run = started(attempt=attempt)
    ledger.fail(claimed(run), StorageRefused("no room"))
    Run.objects.filter(pk=run.pk).update(finished_at=moments.now() - ago)
    return again(run)


def started_again() -> list[Run]:
    return [run for _, run in slot.start_again()]


def test_a_night_that_failed_is_tried_again_after_an_hour(
    on_project: Project, enqueued: list[Run]
) -> None:
    failed = failed_night(ago=timedelta(minutes=59))
    workspace.make(failed.pk)
    assert tasks.reconcile()["enqueued"] == []

    Run.objects.filter(pk=failed.pk).update(finished_at=moments.now() - timedelta(minutes=61))
    answer = tasks.reconcile()

    (second,) = enqueued
    assert answer["enqueued"] == [second.pk]
    assert (second.slot, second.trigger) == (f"{failed.slot}#2", "schedule")
    assert second.params["then"] == "drill"
    assert second.on_workers
    assert not workspace.path_of(failed.pk).exists(), "a day of failures must not fill the disk"
    assert tasks.reconcile()["enqueued"] == []


def test_it_is_tried_again_until_the_day_is_over(on_project: Project) -> None:
    for attempt in (1, 2, 3):
        failed_night(attempt=attempt)

    (fourth,) = started_again()

    assert (fourth.slot or "").endswith("#4")
    ledger.fail(claimed(fourth), StorageRefused("no room"))
    Run.objects.update(finished_at=moments.now() - timedelta(hours=2))
    Run.objects.filter(slot=last_night().text).update(
        created_at=moments.now() - timedelta(hours=24, seconds=1)
    )
    assert started_again() == []


@pytest.mark.parametrize("engine", ["sqlite", "postgres"])
def test_of_many_that_try_a_night_again_at_once_one_does(on_project: Project) -> None:
    failed_night()
    at_once = Barrier(4)

    def attempt(number: int) -> list[Run]:
        at_once.wait()
        try:
            return started_again()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as pool:
        found = [run for runs in pool.map(attempt, range(4)) for run in runs]

    assert len(found) == 1


def test_a_good_backup_of_that_day_is_enough_whoever_made_it(on_project: Project) -> None:
    failed_night()
    _succeed(chains.start("backup", trigger="command", params={"type": "files"}))
    _succeed(chains.start("backup", trigger="command", params={"output": "/tmp/x.tar.zst"}))
    _succeed(chains.start("backup", trigger="command", params={"include": ["auth"]}))
    assert slot._is_backed_up(Run.objects.get(trigger="schedule")) is False

    _succeed(chains.start("backup", trigger="command"))

    assert started_again() == []


def _succeed(run: Run) -> None:
    for step in run.steps.order_by("position"):
        ledger.succeed(claimed(run, step.name), {}, report={})


def test_a_night_that_somebody_cancelled_is_not_tried_again(on_project: Project) -> None:
    run = started()
    chains.cancel(run.pk)
    Run.objects.update(finished_at=moments.now() - timedelta(hours=2))

    assert started_again() == []


def test_each_schedule_has_runs_of_its_own(on_project: Project) -> None:
    failed_night()
    other = started(schedule="at-noon")
    assert other.state == Run.State.PENDING

    assert [run.slot for run in started_again()] == [last_night(attempt=2).text]


def test_a_project_can_leave_trying_again_to_the_next_night(
    on_project: Project, settings: Settings
) -> None:
    settings.BACKUP = {**settings.BACKUP, "RETRY_NIGHT_AFTER": None}
    failed_night()

    assert started_again() == []
