"""When a schedule was and will be due, what of a setting is refused, and what beat gets of it."""

import pickle
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from backup_tasks.celery_defaults.beat import ZonedCrontab, entries
from backup_tasks.errors import Misconfigured
from backup_tasks.schedules import Schedule, schedules_of


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("cron", "zone", "last", "following"),
    [
        ("30 2 * * *", "UTC", "2026-11-28 02:30", "2026-11-29 02:30"),
        ("30 2 * * *", "Europe/Berlin", "2026-11-28 01:30", "2026-11-29 01:30"),
        ("30 2 * * *", "Pacific/Kiritimati", "2026-11-27 12:30", "2026-11-28 12:30"),
        ("0 * * * *", "UTC", "2026-11-28 12:00", "2026-11-28 13:00"),
        ("0 * * * *", "Asia/Kolkata", "2026-11-28 11:30", "2026-11-28 12:30"),
        ("*/20 8-17 * * mon-fri", "UTC", "2026-11-27 17:40", "2026-11-30 08:00"),
        ("0 5 * * sun", "UTC", "2026-11-22 05:00", "2026-11-29 05:00"),
        ("15 3 1 * *", "UTC", "2026-11-01 03:15", "2026-12-01 03:15"),
        ("0 0 29 2 *", "UTC", "2024-02-29 00:00", "2028-02-29 00:00"),
    ],
)
def test_it_is_due_by_the_clock_of_its_zone(
    cron: str, zone: str, last: str, following: str
) -> None:
    schedule = Schedule(name="x", cron=cron, time_zone=zone)

    assert schedule.problem() == ""
    assert schedule.last(moment("2026-11-28 12:00")).at == moment(last)
    assert schedule.next(moment("2026-11-28 12:00")).at == moment(following)


def test_an_hour_that_the_clock_has_twice_is_due_once_and_one_that_is_missing_is_due() -> None:
    """Clocks in Berlin go back at 03:00 on 2026-10-25, and forward at 02:00 on 2026-03-29."""
    schedule = Schedule(name="x", cron="30 2 * * *", time_zone="Europe/Berlin")

    for now in ("00:30", "01:29", "01:30", "02:30"):
        due = schedule.last(moment(f"2026-10-25 {now}"))
        assert due.local.isoformat() == "2026-10-25T02:30:00"
    missing = schedule.last(moment("2026-03-29 12:00"))
    assert missing.local.isoformat() == "2026-03-29T02:30:00"
    assert missing.at == moment("2026-03-29 01:30")


@pytest.mark.parametrize(
    ("cron", "now", "meant"),
    [
        ("30 2 * * *", "2026-11-28 00:30", "2026-11-28 02:30"),
        ("30 2 * * *", "2026-11-28 00:29", "2026-11-27 02:30"),
        ("0 * * * *", "2026-11-28 11:59", "2026-11-28 12:00"),
        ("0 * * * *", "2026-11-28 11:44", "2026-11-28 11:00"),
        ("* * * * *", "2026-11-28 11:44", "2026-11-28 11:44"),
    ],
)
def test_a_start_counts_for_what_is_due_soon_if_the_last_one_was_long_ago(
    cron: str, now: str, meant: str
) -> None:
    assert Schedule(name="x", cron=cron).meant(moment(now)).at == moment(meant)


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ({}, "it has no `cron`"),
        ({"cron": "30 2 * *"}, "has not five fields"),
        ({"cron": "30 25 * * *"}, "cron can't be read"),
        ({"cron": "0 0 30 2 *"}, "cron can't be read"),
        ({"cron": "30 2 * * someday"}, "cron can't be read"),
        ({"cron": 30}, "cron is no text but 30"),
        ({"cron": "30 2 * * *", "time_zone": "Europe/Atlantis"}, "time_zone names no zone"),
        ({"cron": "30 2 * * *", "time_zone": ""}, "time_zone names no zone"),
        ({"cron": "30 2 * * *", "zone": "UTC"}, "unknown key 'zone'"),
        ({"cron": "30 2 * * *", "run": "restore"}, "run is neither"),
        ({"cron": "30 2 * * *", "type": "export"}, "type is none of"),
        ({"cron": "30 2 * * *", "drill": 1}, "drill is neither True nor False"),
        ({"cron": "30 2 * * *", "run": "drill", "label": "x"}, "a drill makes no package"),
        ({"cron": "30 2 * * *", "store": "offsite"}, "where a drill takes its package from"),
        ("30 2 * * *", "it is no dictionary"),
    ],
)
def test_what_can_t_be_used_is_named_with_its_schedule(value: object, problem: str) -> None:
    with pytest.raises(Misconfigured) as raised:
        schedules_of({"nightly": value})

    assert raised.value.obj == "SCHEDULES"
    assert raised.value.what.startswith("BACKUP['SCHEDULES'] can't be used: 'nightly': ")
    assert problem in raised.value.what


@pytest.mark.parametrize("name", ["", "a b", "ä", "-", "x" * 41, 7])
def test_a_name_goes_into_slots_and_is_bounded(name: object) -> None:
    with pytest.raises(Misconfigured, match="its name is not of up to 40"):
        schedules_of({name: {"cron": "30 2 * * *"}})


def test_beat_gets_an_entry_for_each_and_the_reconciler() -> None:
    made = entries({"a": {"cron": "30 2 * * *"}, "b": {"cron": "0 5 * * sun", "run": "drill"}})

    assert list(made) == ["a", "b", "reconcile"]
    assert made["b"]["task"] == "backup_tasks.scheduled"
    assert made["b"]["kwargs"] == {"schedule": "b"}
    assert set(made["b"]["schedule"].day_of_week) == {0}


def test_beat_s_entry_goes_by_the_zone_and_survives_beat_s_file(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Beat keeps its entries by pickle."""
    schedule = Schedule(name="x", cron="30 2 * * *", time_zone="Asia/Kolkata")
    kept: Any = pickle.loads(pickle.dumps(ZonedCrontab(schedule)))
    due = moment("2026-11-27 21:00")

    for now, is_due in ((due - timedelta(minutes=1), False), (due + timedelta(minutes=1), True)):
        monkeypatch.setattr(ZonedCrontab, "now", lambda self, now=now: now)
        assert kept.is_due(due - timedelta(hours=2)).is_due is is_due
    assert kept == ZonedCrontab(schedule)
    assert kept != ZonedCrontab(replace(schedule, time_zone="UTC"))
