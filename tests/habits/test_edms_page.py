"""The page about the EDMS says what a new system has: states, moves, roles, shapes of data."""

from __future__ import annotations

from django.apps import apps

from edms.defaults import ROLES, STATES, TRANSITIONS
from edms.users.permissions import Ability
from edms.workflows.models import AllowedTransition
from tests.habits.pages import DOCS, coded, page, rows

PAGE = "docs/explanation/edms.md"
WORDS = {
    Ability.AUTHOR: "write",
    Ability.REVIEW: "review",
    Ability.APPROVE: "approve",
    Ability.PUBLISH: "publish",
}


def test_the_moves_are_those_of_a_new_system() -> None:
    told = list(rows(page(PAGE).section("How a document lives")))

    assert told == [
        [
            STATES[before][0],
            button,
            STATES[after][0],
            AllowedTransition.Actor(actor).label,
            "needed" if needs_comment else "",
        ]
        for (_, before, after), (button, actor, needs_comment) in TRANSITIONS.items()
    ]


def test_the_roles_are_those_of_a_new_system() -> None:
    told = list(rows(page(PAGE).section("Who may do what")))

    assert told == [
        [role, ", ".join(WORDS[Ability(each)] for each in abilities) or "read", above or ""]
        for role, (above, abilities, _) in ROLES.items()
    ]


def test_every_shape_of_data_is_where_the_page_says() -> None:
    models = {model.__name__: model for model in apps.get_models()}
    for _, where in rows(page(PAGE).section("What it holds")):
        for name in coded(where):
            model, *field = name.split(".")
            assert model in models, name
            assert set(field) <= {each.name for each in models[model]._meta.get_fields()}, name


def test_every_picture_is_small_and_shown() -> None:
    shown = {name for path in (PAGE, "README.md") for name in page(path).links}
    for picture in (DOCS / "pictures").glob("edms-*.png"):
        assert picture.stat().st_size <= 150_000, picture.name
        assert f"../pictures/{picture.name}" in shown, picture.name
