"""What is new, what is over, and what only looks different."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from backup_tasks.alerts.incidents import Change, Incident, compare
from backup_tasks.alerts.message import message_of, subject, text
from backup_tasks.conf import backup_settings
from backup_tasks.status.conditions import CONDITIONS, judge
from backup_tasks.status.facts import Facts, Problem
from tests.unit.status.situations import BAD, ENDED, NOW, SAFE, SITUATIONS, aged, but


def change(before: Facts, after: Facts) -> Change:
    """What a look at `after` tells somebody who has seen `before`."""
    known = compare([], judge(before), NOW - timedelta(hours=1)).open
    return compare(known, judge(after), NOW)


def names(incidents: list[Incident]) -> list[str]:
    return [each["reason"] for each in incidents]


def test_what_lasts_is_told_once_however_its_figures_change() -> None:
    found = change(aged(31), aged(32))

    assert (found.began, found.over) == ([], [])
    (still,) = found.still
    assert "32 hours" in still["what"]
    assert still["since"] == (NOW - timedelta(hours=1)).isoformat()


def test_what_gets_worse_is_new() -> None:
    found = change(aged(47), aged(48))

    assert names(found.began) == ["backup_too_old"]
    assert names(found.over) == ["backup_late"]


def test_the_same_of_another_object_is_new() -> None:
    other = replace(BAD, name="edms-3.tar.zst")

    found = change(but(failed=[BAD]), but(failed=[BAD, other]))

    assert [each["about"] for each in found.began] == ["edms-3.tar.zst"]
    assert (names(found.still), found.over) == (["newer_package_failed"], [])


def test_a_night_that_is_tried_again_and_fails_again_is_the_same_incident() -> None:
    found = change(but(ended=[ENDED]), but(ended=[replace(ENDED, run="drill-2")]))

    assert (found.began, found.over, names(found.still)) == ([], [], ["run_failed"])


def test_what_nobody_could_look_at_is_not_over() -> None:
    """While the database is down the ledger's incidents go on."""
    before = but(ended=[ENDED], orphans=["staging of restore-1"], workers={})
    down = Facts(
        now=NOW,
        points=SAFE.points,
        recorded=False,
        unknown=[Problem(obj="the ledger", what="no answer")],
    )

    found = change(before, down)

    assert names(found.began) == ["not_asked"]
    assert found.over == []
    assert set(names(found.still)) == {"run_failed", "orphans_left", "no_worker"}


def test_a_package_of_a_store_that_is_away_is_not_well_again() -> None:
    found = change(but(failed=[BAD]), but(unread=[Problem(obj="offsite", what="no answer")]))

    assert (names(found.began), found.over) == (["store_unread"], [])


@pytest.mark.parametrize("situation", SITUATIONS.values(), ids=SITUATIONS)
def test_every_reason_of_every_situation_begins_and_ends(situation: object) -> None:
    facts: Facts = situation.facts  # type: ignore[attr-defined]
    reasons = {(each.name, each.about) for each in judge(facts).reasons}
    safe = replace(SAFE, limits=facts.limits)

    began = change(safe, facts).began
    over = change(facts, safe).over

    for incidents in (began, over):
        assert {(each["reason"], each["about"]) for each in incidents} == reasons


def test_every_condition_that_looks_at_the_ledger_says_when_it_could_not() -> None:
    unasked = judge(Facts(now=NOW, recorded=False)).unasked

    assert {"run_failed", "run_stuck", "night_skipped", "beat_silent", "package_gone"} <= set(
        unasked
    )
    assert set(unasked) <= {each.name for each in CONDITIONS}
    assert judge(SAFE).unasked == set()


def test_a_message_says_what_is_new_over_and_still_so() -> None:
    status = judge(but(ended=[ENDED], failed=[BAD]))
    found = change(aged(31, ended=[ENDED]), but(ended=[ENDED], failed=[BAD]))
    message = message_of(found, status, NOW)

    assert subject(message) == (
        f"[{backup_settings().project}] BACKUP CRITICAL: package edms-2.tar.zst, newer than "
        "the last good backup, failed: it failed a drill: a row differs"
    )
    told = text(message)
    assert told.index("New:") < told.index("edms-2") < told.index("Over:") < told.index("31 hours")
    assert told.index("Still so:") < told.index("the last drill failed (drill-1): no space left")
    assert "What to do: Free some space." in told


def test_the_last_message_says_that_all_is_well_again() -> None:
    message = message_of(change(aged(31), SAFE), judge(SAFE), NOW)

    assert subject(message) == f"[{backup_settings().project}] BACKUP OK: all is well again"
    assert "All is well again." in text(message)


def test_a_subject_is_one_line_of_bounded_length() -> None:
    long = replace(ENDED, why="line\r\nBcc: somebody@example.com " + "x" * 500)
    message = message_of(change(SAFE, but(ended=[long])), judge(but(ended=[long])), NOW)

    assert "\n" not in subject(message)
    assert "\r" not in subject(message)
    assert len(subject(message)) == 160
