"""How many missing files make a backup fail."""

from __future__ import annotations

from dataclasses import replace

import pytest

from backup_tasks.backup.completeness import Figures, problems
from backup_tasks.conf import BackupSettings

SETTINGS = BackupSettings()


def found(missing: int, *, of: int = 10_000, before: int | None = 0, **changes: float) -> list[str]:
    """What is wrong where so many are missing now, and were before (None: there was no package)."""
    now = Figures(files=of - missing, referenced=of, missing=missing)
    last = {} if before is None else {"default": Figures(files=of, referenced=of, missing=before)}
    settings = replace(SETTINGS, **changes)  # type: ignore[arg-type]
    return list(problems({"default": now}, counted={}, before=last, settings=settings))


@pytest.mark.parametrize(
    ("missing", "of", "too_many"),
    [
        (10, 100, False),  # more than 1 %, and not more than 10
        (11, 1_100, False),  # more than 10, and not more than 1 %
        (11, 1_099, True),
        (100, 10_000, False),
        (101, 10_000, True),
        (1, 2, True),  # half of all
        (1, 3, False),
        (0, 0, False),
    ],
)
def test_more_than_ten_and_more_than_one_percent_or_half(
    missing: int, of: int, *, too_many: bool
) -> None:
    assert bool(found(missing, of=of)) is too_many


def test_the_storage_and_the_figures_are_named() -> None:
    (told,) = found(150, before=20)

    assert told.startswith("storage default: 150 of 10000 files that rows refer to are missing")
    assert told.endswith("130 more than in the last package")


def test_the_settings_say_how_many() -> None:
    assert found(101, max_missing_files=200) == []
    assert found(101, max_missing_share=0.02) == []
    assert found(3, of=200, max_missing_files=2)


def test_what_the_last_package_missed_already_is_not_missed_again() -> None:
    assert found(5_000, before=4_950) == []
    assert found(9_999, before=9_999) == []
    assert found(10_000, before=9_999)  # the last one that was there


def test_without_a_package_before_half_of_all_must_be_there() -> None:
    assert found(4_999, before=None) == []
    assert found(5_000, before=None)


def test_a_storage_that_is_empty_all_of_a_sudden_is_missed_though_no_row_refers_to_it() -> None:
    empty = Figures(files=0, referenced=0, missing=0)
    full = Figures(files=7, referenced=0, missing=0)

    def told(counted: int, before: int) -> list[str]:
        last = {"default": full} if before else {}
        there = {"default": counted}
        return list(problems({"default": empty}, counted=there, before=last, settings=SETTINGS))

    assert told(0, 0) == []
    assert told(7, 0) == ["storage default: the run began with 7 files, and now there is none"]
    assert told(0, 7) == ["storage default: the last package had 7 files, now there is none"]
    # A worker without MEDIA_ROOT has no such storage at all.
    assert list(problems({}, counted={}, before={"default": full}, settings=SETTINGS))
