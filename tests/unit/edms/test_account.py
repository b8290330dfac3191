"""One's own password: changed, forgotten, and never guessed past the limit on attempts."""

import re
from datetime import timedelta

import pytest
from django.core import mail
from django.test import Client

from edms.demo import PASSWORD
from edms.users.models import User
from edms.workflows.models import ElectronicSignature
from tests.unit.edms.conftest import Demo

NEW = "a longer one, 42"


def change(client: Client, old: str, page: str = "/password/") -> int:
    answer = client.post(
        page, {"old_password": old, "new_password1": NEW, "new_password2": NEW}, follow=True
    )
    return answer.status_code


def asked(address: str) -> None:
    answer = Client().post("/password/forgotten/", {"email": address}, follow=True)
    assert "If an account has this address" in answer.content.decode()


def link() -> str:
    found = re.search(r"/password/new/\S+", str(mail.outbox[-1].body))
    assert found is not None
    return found[0]


@pytest.fixture(autouse=True)
def ben(demo: Demo) -> User:
    """Ben, with the demonstration's password as these tests hash it."""
    user = demo.user("ben")
    user.set_password(PASSWORD)
    user.save()
    return user


def test_a_password_is_changed_and_other_sessions_end(demo: Demo, ben: User) -> None:
    here, elsewhere = demo.browser("ben"), demo.browser("ben")

    assert change(here, PASSWORD) == 200

    ben.refresh_from_db()
    assert ben.check_password(NEW)
    assert here.get("/").status_code == 200
    assert elsewhere.get("/").status_code == 302


def test_guesses_at_the_old_password_count_as_failed_attempts_to_sign_in(
    demo: Demo, ben: User
) -> None:
    """A session that was left open does not help to find the password."""
    client = demo.browser("ben")

    assert [change(client, f"guess {number}") for number in range(5)] == [200, 200, 200, 200, 429]
    assert change(client, PASSWORD) == 429
    assert Client().post("/login/", {"username": "ben", "password": PASSWORD}).status_code == 429
    ben.refresh_from_db()
    assert ben.check_password(PASSWORD)


def test_the_admins_own_page_for_it_leads_to_this_one(demo: Demo) -> None:
    answer = demo.browser("admin").get("/admin/password_change/")
    assert answer.headers["Location"] == "/password/"


def test_a_forgotten_password_is_chosen_anew_by_the_mailed_link(demo: Demo, ben: User) -> None:
    asked("BEN@example.com")
    assert mail.outbox[-1].to == ["ben@example.com"]
    assert mail.outbox[-1].subject == "Acme Instruments: new password"

    client = Client()
    form = client.get(link(), follow=True)
    assert form.status_code == 200
    answer = client.post(
        form.redirect_chain[-1][0], {"new_password1": NEW, "new_password2": NEW}, follow=True
    )

    assert answer.redirect_chain[-1][0] == "/login/", "nobody is signed in by it"
    ben.refresh_from_db()
    assert ben.check_password(NEW)
    assert "used before" in Client().get(link()).content.decode()


def test_a_new_password_unlocks_nobody(demo: Demo, ben: User) -> None:
    client = demo.browser("ben")
    for number in range(5):
        change(client, f"guess {number}")
    asked("ben@example.com")
    form = Client()
    path = form.get(link(), follow=True).redirect_chain[-1][0]
    form.post(path, {"new_password1": NEW, "new_password2": NEW})

    assert Client().post("/login/", {"username": "ben", "password": NEW}).status_code == 429


def test_a_second_mail_within_five_minutes_is_not_sent(demo: Demo, ben: User) -> None:
    asked("ben@example.com")
    asked("ben@example.com")
    assert len(mail.outbox) == 1

    ben.refresh_from_db()
    assert ben.reset_mailed_at is not None
    User.objects.update(reset_mailed_at=ben.reset_mailed_at - timedelta(minutes=6))
    asked("ben@example.com")
    assert len(mail.outbox) == 2


def test_an_unknown_address_and_an_inactive_person_get_no_mail(demo: Demo) -> None:
    User.objects.filter(username="finn").update(is_active=False)
    asked("nobody@example.com")
    asked("finn@example.com")
    assert mail.outbox == []


def test_everybody_sees_times_in_their_own_zone_and_signs_in_it(demo: Demo) -> None:
    client, page = demo.browser("gil"), "/documents/SOP-2025-0001/"
    before = client.get(page).content.decode()
    assert "2025-03-11 12:03" in before
    assert "All times are UTC" in before

    assert client.post("/account/", {"time_zone": "Asia/Tokyo"}).status_code == 302

    after = client.get(page).content.decode()
    assert "2025-03-11 21:03" in after
    assert "All times are Asia/Tokyo" in after
    values = {"to_state": "approved", "password": PASSWORD}
    gil = demo.user("gil")
    gil.set_password(PASSWORD)
    gil.save()
    demo_client = demo.browser("gil")
    demo_client.post("/documents/WI-2026-0001/move/", values)
    signature = ElectronicSignature.objects.get(signer=gil)
    assert signature.local_time.endswith("+09:00 Asia/Tokyo")
    assert "All times are UTC" in demo.browser("finn").get("/").content.decode()


def test_a_zone_that_there_is_not_is_refused_and_one_that_is_gone_shows_the_systems(
    demo: Demo,
) -> None:
    client = demo.browser("finn")
    assert client.post("/account/", {"time_zone": "Mars/Olympus"}).status_code == 400
    User.objects.filter(username="finn").update(time_zone="../etc/passwd")
    assert "All times are UTC" in client.get("/").content.decode()
