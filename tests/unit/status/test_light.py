"""The light is right in every situation of the table, and each of its conditions matters."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest

from backup_tasks.status.conditions import CONDITIONS, judge
from backup_tasks.status.facts import Facts
from backup_tasks.status.light import Condition, Light
from tests.unit.status.situations import SAFE, SITUATIONS, Situation


def right(situation: Situation, conditions: tuple[Condition, ...] = CONDITIONS) -> bool:
    """Whether the light and the reasons are those of the table."""
    status = judge(situation.facts, conditions)
    names = [reason.name for reason in status.reasons]
    return (
        status.light is situation.light
        and names == [name for name, _ in situation.reasons]
        and all(
            word in reason.what
            for reason, (_, word) in zip(status.reasons, situation.reasons, strict=True)
        )
    )


@pytest.mark.parametrize("situation", SITUATIONS.values(), ids=SITUATIONS)
def test_the_light_and_its_reasons_are_right(situation: Situation) -> None:
    status = judge(situation.facts)

    assert right(situation), (status.light, [(each.name, each.what) for each in status.reasons])
    assert all(reason.what and (reason.remedy or _given(reason.name)) for reason in status.reasons)


def _given(name: str) -> bool:
    """Whether the remedy is that of an error, which has none in some rows of the table."""
    return name in {"store_unread", "not_asked"}


def test_the_table_has_situations_enough() -> None:
    assert len(SITUATIONS) >= 25
    assert {situation.light for situation in SITUATIONS.values()} == set(Light)


@pytest.mark.parametrize("dropped", CONDITIONS, ids=lambda condition: condition.name)
def test_a_situation_is_judged_wrongly_without_a_condition(dropped: Condition) -> None:
    rest = tuple(each for each in CONDITIONS if each is not dropped)

    wrong = [name for name, situation in SITUATIONS.items() if not right(situation, rest)]

    assert wrong


@pytest.mark.parametrize("weakened", CONDITIONS, ids=lambda condition: condition.name)
def test_a_situation_has_another_light_without_a_condition(weakened: Condition) -> None:
    """Not only one reason less: somewhere the condition alone decides the colour."""
    rest = tuple(each for each in CONDITIONS if each is not weakened)

    assert any(
        judge(situation.facts, rest).light is not situation.light
        for situation in SITUATIONS.values()
    )


LIMITS_AND_CLOCK = {"now", "limits", "recorded"}


@pytest.mark.parametrize("name", [f.name for f in fields(Facts) if f.name not in LIMITS_AND_CLOCK])
def test_a_situation_is_judged_wrongly_without_a_fact(name: str) -> None:
    """Each fact is used: forgetting it changes the answer somewhere."""
    nothing = Facts(now=SAFE.now)

    assert any(
        judge(replace(situation.facts, **{name: getattr(nothing, name)})) != judge(situation.facts)
        for situation in SITUATIONS.values()
    )


def test_the_exit_codes_are_those_of_monitors() -> None:
    assert {light: (light.word, light.exit_code) for light in Light} == {
        Light.GREEN: ("OK", 0),
        Light.AMBER: ("WARNING", 1),
        Light.RED: ("CRITICAL", 2),
        Light.UNKNOWN: ("UNKNOWN", 3),
    }
