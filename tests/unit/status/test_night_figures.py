"""A night that is unlike its neighbours, and the day on which a disk is full: tables of numbers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from backup_tasks.status.night_figures import ends, growth, unlike

NOW = datetime(2026, 11, 28, tzinfo=UTC)


@pytest.mark.parametrize(
    ("values", "marked"),
    [
        ([], {}),
        ([5], {}),
        ([5, 100, 5], {}),
        ([5, 5, 5, 100], {3: "20.0 times the usual"}),
        ([5, 5, 5, 100, 5], {3: "20.0 times the usual"}),
        ([100, 5, 5, 5], {}),
        ([100, *[5] * 7], {0: "20.0 times the usual"}),
        ([100, 100, 100, 100], {}),
        ([100, 100, 100, 50], {3: "1/2.0 of the usual"}),
        ([100, 100, 100, 51], {}),
        ([100, 100, 100, 199], {}),
        ([100, 100, 100, 200], {3: "2.0 times the usual"}),
        ([100, 100, 100, 0], {3: "none"}),
        ([0, 0, 0, 0], {}),
        ([0, 0, 0, 9], {}),
        ([100, None, 100, None, 100, 30], {5: "1/3.3 of the usual"}),
        ([100, 100, 100, None], {}),
        ([10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25], {}),
        # A loss that stays is marked for the nights in which it is new.
        ([100, 100, 100, 40, 40], {3: "1/2.5 of the usual", 4: "1/2.5 of the usual"}),
        ([100] * 8 + [40] * 8, {}),
        ([100, 100, 100, 900, 100, 100, 100], {3: "9.0 times the usual"}),
        (
            [100, 100, 100, 900, 100, 100, 100, 250],
            {3: "9.0 times the usual", 7: "2.5 times the usual"},
        ),
    ],
)
def test_half_or_twice_the_median_of_the_neighbours_is_unlike(
    values: list[float | None], marked: dict[int, str]
) -> None:
    found = {number: each.words for number, each in enumerate(unlike(values)) if each}

    assert found == marked


def days(*values: float) -> list[tuple[datetime, float]]:
    """A figure of each of the last days."""
    return [(NOW + timedelta(days=day), value) for day, value in enumerate(values)]


@pytest.mark.parametrize(
    ("samples", "a_day"),
    [
        (days(), None),
        (days(1, 2), None),
        (days(1, 2, 3), 1),
        (days(5, 5, 5, 5), 0),
        (days(9, 6, 3, 0), -3),
        (days(0, 10, 0, 10, 0, 10), pytest.approx(30 / 35 * 1.0, abs=0.4)),
        ([(NOW, 1.0), (NOW + timedelta(hours=1), 2.0), (NOW + timedelta(hours=2), 3.0)], None),
    ],
)
def test_growth_is_the_slope_of_the_line_that_fits_best(
    samples: list[tuple[datetime, float]], a_day: float | None
) -> None:
    assert growth(samples) == a_day


@pytest.mark.parametrize(
    ("free", "needed", "a_day", "day"),
    [
        (100, 10, 9, 10),
        (100, 100, 1, 0),
        (5, 10, 1, 0),
        (100, 10, 0, None),
        (100, 10, -5, None),
        (100, 10, None, None),
        (1_000_000, 0, 1, None),
    ],
)
def test_a_disk_ends_when_it_has_no_room_for_one_more(
    free: float, needed: float, a_day: float | None, day: int | None
) -> None:
    expected = None if day is None else NOW + timedelta(days=day)

    assert ends(free, needed, a_day, NOW) == expected
