"""What stays though no slot keeps it, what goes last, and how much goes at once."""

import datetime as dt

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backup_tasks.conf import Retention
from backup_tasks.storage.retention import DatedPackage, Decision, plan, removable
from tests.unit.retention.test_expendable import MOMENTS, NOW, POLICIES

DAILY = Retention(daily=7, weekly=0, monthly=0, minimum=0)
DAY = dt.timedelta(days=1)


def night(number: int, *, failed: int | None = None) -> DatedPackage:
    """The package of so many nights ago; `failed`: it failed a test so many nights ago."""
    failed_at = None if failed is None else NOW - failed * DAY
    return DatedPackage(name=f"night-{number}", created_at=NOW - number * DAY, failed_at=failed_at)


def decide(*packages: DatedPackage, policy: Retention = DAILY, **held: str) -> dict[str, Decision]:
    names = {name.replace("_", "-"): why for name, why in held.items()}
    decisions = plan(packages, policy, now=NOW, held=names)
    return {each.package.name: each for each in decisions}


def test_every_decision_names_its_rule() -> None:
    policy = Retention(daily=1, weekly=2, monthly=2, minimum=2)
    told = decide(*(night(number) for number in range(32)), policy=policy)

    assert {name: each.why for name, each in told.items() if each.keep} == {
        "night-0": "the newest of day 2026-11-22",
        "night-1": "one of the 2 newest",
        "night-7": "the newest of week 2026-W46",
        "night-22": "the newest of month 2026-10",
    }
    assert told["night-9"].why == "no rule of the retention needs it"


def test_the_newest_of_each_hour_stays() -> None:
    policy = Retention(hourly=3, daily=0, weekly=0, monthly=0, minimum=0)
    made = {f"at-{minutes}": NOW - dt.timedelta(minutes=minutes) for minutes in range(0, 300, 20)}
    packages = [DatedPackage(name=name, created_at=moment) for name, moment in made.items()]

    kept = [each for each in plan(packages, policy, now=NOW, held={}) if each.keep]

    hours = [f"{made[each.package.name]:%H}" for each in kept]
    assert len(set(hours)) == len(hours) == 3
    assert {each.why for each in kept} == {
        f"the newest of hour {made[each.package.name]:%Y-%m-%d %H}:00" for each in kept
    }
    newest = {
        hour: max(moment for moment in made.values() if f"{moment:%H}" == hour) for hour in hours
    }
    assert {made[each.package.name] for each in kept} == set(newest.values())


def test_a_package_that_failed_takes_no_slot() -> None:
    failed = [night(number, failed=0) for number in range(7)]
    sound = [night(number) for number in range(7, 14)]

    told = decide(*failed, *sound)

    assert all(told[each.name].keep for each in sound)
    assert {told[each.name].why for each in failed} == {"it failed a test; kept until 2026-12-22"}


def test_a_package_that_failed_goes_after_thirty_days() -> None:
    nights = [night(number) for number in range(8)]
    told = decide(*nights, night(40, failed=30), night(41, failed=29))

    assert not told["night-40"].keep
    assert told["night-41"].keep


def test_a_package_that_failed_stays_while_it_is_all_that_holds_a_day() -> None:
    """Of a day that the policy would keep, were the package sound."""
    alone = decide(night(0), night(40, failed=35))
    assert alone["night-40"].keep
    assert "the only one of its day" in alone["night-40"].why

    twin = DatedPackage(name="sound", created_at=NOW - 40 * DAY + dt.timedelta(hours=1))
    assert not decide(night(0), twin, night(40, failed=35))["night-40"].keep


def test_what_is_held_stays_and_says_why() -> None:
    nights = [night(number) for number in range(10)]

    told = decide(*nights, night_9="pinned")

    assert (told["night-9"].keep, told["night-9"].why) == (True, "pinned")
    assert not told["night-8"].keep


@pytest.mark.parametrize("minimum", [0, 2])
def test_the_newest_sound_one_stays_whatever_the_policy(minimum: int) -> None:
    policy = Retention(daily=0, weekly=0, monthly=0, minimum=minimum)

    told = decide(night(0, failed=0), night(1), night(2), policy=policy)

    assert told["night-1"].keep


def test_at_most_a_share_goes_at_once_the_oldest_first_and_failed_ones_last() -> None:
    failed = night(60, failed=40)
    told = decide(*(night(number) for number in range(19)), failed)

    now, later = removable(list(told.values()), DAILY)

    assert now == [f"night-{number}" for number in range(18, 8, -1)]
    assert later == ["night-8", "night-7", "night-60"]
    assert removable(list(told.values())[:1], DAILY) == ([], [])


def test_one_package_can_always_go() -> None:
    share = Retention(daily=1, weekly=0, monthly=0, minimum=0, share=0.1)

    assert removable(list(decide(night(0), night(1), policy=share).values()), share)[0]


@settings(deadline=None, derandomize=True, database=None)
@given(moments=MOMENTS, policy=POLICIES, failed=st.sets(st.integers(0, 59)))
def test_of_any_packages_the_newest_sound_one_stays_and_each_is_explained(
    moments: list[dt.datetime], policy: Retention, failed: set[int]
) -> None:
    packages = [
        DatedPackage(
            name=str(number), created_at=at, failed_at=NOW - 90 * DAY if number in failed else None
        )
        for number, at in enumerate(moments)
    ]
    decisions = plan(packages, policy, now=NOW, held={})
    now, later = removable(decisions, policy)

    assert len(decisions) == len(packages)
    assert all(each.why for each in decisions)
    sound = [each for each in packages if each.failed_at is None]
    if sound:
        assert max(sound, key=lambda each: (each.created_at, each.name)).name not in now
    assert len(now) <= max(1, len(packages) * policy.share)
    assert {*now, *later} == {each.package.name for each in decisions if not each.keep}
