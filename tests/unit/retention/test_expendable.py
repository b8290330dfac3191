"""What the retention keeps, whatever packages there are."""

import datetime as dt
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backup_tasks.conf import Retention
from backup_tasks.storage.retention import DatedPackage, expendable

NOW = dt.datetime(2026, 11, 22, 2, 30, tzinfo=dt.UTC)
DEFAULT = Retention()

MOMENTS = st.lists(
    st.datetimes(NOW.replace(tzinfo=None) - dt.timedelta(days=1000), NOW.replace(tzinfo=None)).map(
        lambda moment: moment.replace(tzinfo=dt.UTC)
    ),
    max_size=60,
    unique=True,
)
POLICIES = st.builds(
    Retention,
    daily=st.integers(0, 9),
    weekly=st.integers(0, 6),
    monthly=st.integers(0, 14),
    minimum=st.integers(0, 5),
)


def packages(moments: list[dt.datetime]) -> list[DatedPackage]:
    return [DatedPackage(name=moment.isoformat(), created_at=moment) for moment in moments]


def kept(moments: list[dt.datetime], policy: Retention = DEFAULT) -> list[dt.datetime]:
    """The moments whose packages stay, newest first."""
    gone = set(expendable(packages(moments), policy))
    return sorted((m for m in moments if m.isoformat() not in gone), reverse=True)


def nightly(nights: int) -> list[dt.datetime]:
    return [NOW - dt.timedelta(days=number) for number in range(nights)]


def test_two_years_of_nights_leave_seven_days_four_weeks_and_twelve_months() -> None:
    left = kept(nightly(730))

    assert left[:7] == nightly(7)
    assert 7 + 12 <= len(left) <= 7 + 4 + 12
    assert len({(m.year, m.month) for m in left}) == 12
    assert left[-1] == dt.datetime(2025, 12, 31, 2, 30, tzinfo=dt.UTC)


@pytest.mark.parametrize("nights", range(8))
def test_in_the_first_week_nothing_goes(nights: int) -> None:
    assert kept(nightly(nights)) == nightly(nights)


def test_a_day_with_many_packages_keeps_its_newest_and_the_newest_of_all() -> None:
    hourly = [NOW - dt.timedelta(hours=number) for number in range(20)]
    left = kept(hourly, Retention(daily=2, weekly=0, monthly=0, minimum=3))
    assert left == hourly[:4]  # three of the newest day, and the newest of the day before


def test_years_without_backups_do_not_remove_the_old_ones() -> None:
    """“The last seven days” are the last seven that have packages, not the last on the calendar."""
    old = [NOW - dt.timedelta(days=1000 + number) for number in range(5)]
    assert kept(old) == old


def test_a_policy_of_nothing_keeps_nothing_and_its_minimum_alone_keeps_that() -> None:
    nothing = Retention(daily=0, weekly=0, monthly=0, minimum=0)
    assert kept(nightly(10), nothing) == []
    assert kept(nightly(10), Retention(daily=0, weekly=0, monthly=0, minimum=2)) == nightly(2)


@settings(deadline=None, derandomize=True, database=None)
@given(moments=MOMENTS, policy=POLICIES)
def test_the_newest_are_never_expendable(moments: list[dt.datetime], policy: Retention) -> None:
    newest = sorted(moments, reverse=True)
    left = kept(moments, policy)
    assert left[: policy.minimum] == newest[: policy.minimum]
    if moments and policy.daily + policy.weekly + policy.monthly + policy.minimum:
        assert newest[0] in left


@settings(deadline=None, derandomize=True, database=None)
@given(moments=MOMENTS, policy=POLICIES)
def test_what_is_kept_is_bounded_and_pruning_twice_changes_nothing(
    moments: list[dt.datetime], policy: Retention
) -> None:
    left = kept(moments, policy)
    limit = policy.daily + policy.weekly + policy.monthly + policy.minimum
    assert len(left) <= limit
    assert kept(left, policy) == left


@settings(deadline=None, derandomize=True, database=None)
@given(moments=MOMENTS, policy=POLICIES, seed=st.randoms(use_true_random=False))
def test_the_order_of_the_list_does_not_matter(
    moments: list[dt.datetime], policy: Retention, seed: Random
) -> None:
    shuffled = list(moments)
    seed.shuffle(shuffled)
    assert kept(shuffled, policy) == kept(moments, policy)
    gone = expendable(packages(shuffled), policy)
    assert gone == sorted(gone)  # the oldest first: isoformat sorts by time


@settings(deadline=None, derandomize=True, database=None)
@given(moments=MOMENTS, policy=POLICIES)
def test_each_kept_day_week_and_month_keeps_its_newest(
    moments: list[dt.datetime], policy: Retention
) -> None:
    left = set(kept(moments, policy))
    days = sorted({m.date() for m in moments}, reverse=True)[: policy.daily]
    months = sorted({(m.year, m.month) for m in moments}, reverse=True)[: policy.monthly]
    for day in days:
        assert max(m for m in moments if m.date() == day) in left
    for month in months:
        assert max(m for m in moments if (m.year, m.month) == month) in left
