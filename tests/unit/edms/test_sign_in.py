"""Guessing passwords: after a few attempts, one name is locked for the one who guesses."""

from datetime import timedelta

import pytest
from axes.models import AccessAttempt
from django.http import HttpRequest
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from edms.users.client_address import client_address
from tests.unit.edms.conftest import Demo

PAGES = ["/login/", "/admin/login/"]
GUESSER, OTHER = "203.0.113.7", "203.0.113.8"


class Browser:
    """Somebody at an address, in front of a proxy, who wants to sign in."""

    def __init__(self, address: str) -> None:
        self._client = Client(REMOTE_ADDR="172.18.0.1", HTTP_X_FORWARDED_FOR=address)

    def sign_in(self, page: str, name: str, password: str) -> int:
        answer = self._client.post(page, {"username": name, "password": password})
        return answer.status_code

    def guess(self, page: str, times: int, name: str = "admin") -> list[int]:
        return [self.sign_in(page, name, f"guess {number}") for number in range(times)]


@pytest.fixture
def password(demo: Demo, settings: Settings) -> str:
    """The password of `admin`; the EDMS stands behind one proxy."""
    settings.TRUSTED_PROXIES = 1
    admin = demo.user("admin")
    admin.set_password("the right one")
    admin.save()
    return "the right one"


@pytest.mark.parametrize("page", PAGES)
def test_after_five_wrong_passwords_the_right_one_does_not_help(password: str, page: str) -> None:
    guesser = Browser(GUESSER)

    assert guesser.guess(page, 6) == [200, 200, 200, 200, 429, 429]
    assert {guesser.sign_in(where, "admin", password) for where in PAGES} == {429}


@pytest.mark.parametrize("page", PAGES)
def test_nobody_else_is_locked_out_by_it(password: str, page: str) -> None:
    """Neither the owner of the name elsewhere, nor another name at that address."""
    guesser = Browser(GUESSER)
    guesser.guess(page, 5)

    assert guesser.guess(page, 1, name="dan") == [200]
    assert Browser(OTHER).sign_in(page, "admin", password) == 302


def test_what_a_client_claims_to_be_does_not_give_it_more_attempts(password: str) -> None:
    answers = [Browser(f"10.0.0.{n}, {GUESSER}").guess("/login/", 1)[0] for n in range(6)]

    assert answers[-2:] == [429, 429]


def test_it_ends_by_itself_though_the_guesser_goes_on(password: str) -> None:
    guesser = Browser(GUESSER)
    guesser.guess("/login/", 8)
    quarter = timezone.now() - timedelta(minutes=16)
    AccessAttempt.objects.filter(failures_since_start=5).update(attempt_time=quarter)

    assert guesser.sign_in("/login/", "admin", password) == 302


def test_who_mistypes_and_then_signs_in_starts_anew(password: str) -> None:
    browser = Browser(GUESSER)
    browser.guess("/login/", 4)
    assert browser.sign_in("/login/", "admin", password) == 302

    assert Browser(GUESSER).guess("/login/", 4) == [200] * 4


def test_no_password_is_kept(password: str) -> None:
    Browser(GUESSER).guess("/login/", 1)

    row = AccessAttempt.objects.get()
    assert "guess 0" not in f"{row.post_data}{row.get_data}{row.path_info}"


@pytest.mark.parametrize(
    ("proxies", "told", "expected"),
    [
        (0, "198.51.100.1", "172.18.0.1"),
        (1, "198.51.100.1", "198.51.100.1"),
        (1, "6.6.6.6, 198.51.100.1", "198.51.100.1"),
        (2, "6.6.6.6, 198.51.100.1, 10.0.0.2", "198.51.100.1"),
        (2, "198.51.100.1", "198.51.100.1"),  # a request from inside, past the first proxy
        (1, "", "172.18.0.1"),
        (1, "unknown", "172.18.0.1"),
        (1, " , ,", "172.18.0.1"),
        (1, "2001:db8::1:2:3:4", "2001:db8::"),
        (1, "::ffff:198.51.100.1", "198.51.100.1"),
    ],
)
def test_the_client_is_whom_the_first_trusted_proxy_saw(
    settings: Settings, proxies: int, told: str, expected: str
) -> None:
    settings.TRUSTED_PROXIES = proxies
    request = HttpRequest()
    request.META = {"REMOTE_ADDR": "172.18.0.1", "HTTP_X_FORWARDED_FOR": told}

    assert client_address(request) == expected


def test_a_server_on_a_socket_knows_no_address(settings: Settings) -> None:
    settings.TRUSTED_PROXIES = 0

    assert client_address(HttpRequest()) is None
