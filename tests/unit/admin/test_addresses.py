"""Addresses that were typed, cut off or made up: not found, or not valid, and never a failure."""

from collections.abc import Callable
from urllib.parse import quote

import pytest
from django.test import Client

from backup_tasks.models import Run
from tests.unit.admin.conftest import SignedIn

MODELS = ("run", "step", "package", "undopoint")
NO_KEYS = (
    "TEXT",
    "-1",
    "²",  # a digit to str.isdigit, no number to int
    "1_5F",
    "9" * 40,  # no database has such integers
    "9" * 5000,  # Python reads no such integers
    "a\0b",  # PostgreSQL takes no NUL
    "a\nb",  # an address made of this one can't be made
    "a/b",
    "\N{PILE OF POO}",
)
ACTIONS = {
    "run": ("resume/", "cancel/"),
    "package": ("verify/", "drill/", "restore/"),
}


@pytest.fixture
def client(signed_in: SignedIn) -> Client:
    return signed_in("start_backup", "start_restore", "view_run")


def address(model: str, key: str, rest: str = "") -> str:
    return f"/admin/backup_tasks/{model}/{quote(key, safe='/')}/{rest}"


def test_a_key_that_no_row_has_is_not_found(client: Client, failed_restore: Run) -> None:
    answers = {
        (model, key[:20]): client.get(address(model, key, "change/"), follow=True).status_code
        for model in MODELS
        for key in NO_KEYS
    }

    assert {where: status for where, status in answers.items() if status != 404} == {}


def test_nothing_is_started_for_a_key_that_no_row_has(client: Client, failed_restore: Run) -> None:
    answers = {
        (model, action, key[:20]): client.post(address(model, key, action), follow=True).status_code
        for model, actions in ACTIONS.items()
        for action in actions
        for key in NO_KEYS
        if "/" not in key
    }

    assert {where: status for where, status in answers.items() if status != 404} == {}
    assert Run.objects.get() == failed_restore


@pytest.mark.parametrize("rest", ["", "history/", "delete/"])
def test_django_s_own_pages_of_such_a_key_end_on_a_page(
    client: Client, failed_restore: Run, rest: str
) -> None:
    answers = {
        (model, key[:20]): client.get(address(model, key, rest), follow=True).status_code
        for model in MODELS
        for key in NO_KEYS
    }

    assert {
        where: status for where, status in answers.items() if status not in (200, 403, 404)
    } == {}


@pytest.mark.parametrize("value", ["TEXT", "a\0b", "9" * 40])
def test_a_list_with_a_made_up_query_is_a_page(
    client: Client, failed_restore: Run, value: str
) -> None:
    queries: dict[str, Callable[[str], str]] = {
        name: f"{name}={{}}".format for name in ("q", "p", "state", "kind", "id", "run__id")
    }
    answers = {
        (model, name): client.get(
            f"/admin/backup_tasks/{model}/?{query(quote(value))}", follow=True
        ).status_code
        for model in MODELS
        for name, query in queries.items()
    }

    assert {where: status for where, status in answers.items() if status not in (200, 400)} == {}
