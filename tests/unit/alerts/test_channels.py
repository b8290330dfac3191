"""Mail, webhook, chat and pings arrive at real servers."""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import timedelta

import pytest
from pytest_django import Settings

from backup_tasks.alerts import channels, pings
from backup_tasks.alerts.http import post
from backup_tasks.alerts.message import Message, message_of
from backup_tasks.errors import Transient
from backup_tasks.models import Run
from backup_tasks.status.conditions import judge
from tests.integration.standing.conftest import fails, run_here
from tests.services import Project
from tests.unit.alerts.conftest import SECRET
from tests.unit.alerts.receivers import Postbox, Receiver
from tests.unit.alerts.test_incidents import change
from tests.unit.status.situations import BAD, NOW, SAFE, but

IMGHDR = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")
"""One of apprise's plugins imports it on old Pythons."""

GONE = "http://127.0.0.1:9"
"""Nobody listens there."""


@pytest.fixture
def message() -> Message:
    """A message about one new incident."""
    wrong = but(failed=[BAD])
    return message_of(change(SAFE, wrong), judge(wrong), NOW)


def channel(settings: Settings, **changes: object) -> channels.Channel:
    """The only channel of these settings."""
    settings.BACKUP = {**settings.BACKUP, "ALERT_SECRET": SECRET, **changes}
    (found,) = channels.channels().values()
    return found


def test_a_mail_arrives_with_what_is_new(
    box: Postbox, settings: Settings, message: Message
) -> None:
    channel(settings, ALERT_MAIL=["ada@example.com", "bob@example.com"])(message)

    (mail,) = box.mails
    assert mail["To"] == "ada@example.com, bob@example.com"
    assert "BACKUP CRITICAL" in str(mail["Subject"])
    assert mail["Message-ID"] == f"<{message['id']}@backup-tasks.invalid>"
    payload = mail.get_payload(decode=True)
    assert isinstance(payload, bytes)
    assert b"edms-2.tar.zst" in payload


def test_a_mail_that_is_refused_is_an_error_that_names_the_address(
    box: Postbox, settings: Settings, message: Message
) -> None:
    box.refuse = True

    with pytest.raises(Transient, match=r"ada@example.com: .*not now"):
        channel(settings, ALERT_MAIL=["ada@example.com"])(message)


def test_a_webhook_is_json_with_a_signature_that_others_can_check(
    hook: Receiver, settings: Settings, message: Message
) -> None:
    """By the text of the standard, without our own code."""
    channel(settings, ALERT_WEBHOOKS=[f"{hook.url}/alerts?token=1"])(message)

    (request,) = hook.requests
    assert request.path == "/alerts?token=1"
    assert request.json() == message
    id_, at = request.headers["webhook-id"], request.headers["webhook-timestamp"]
    key = base64.b64decode(SECRET.removeprefix("whsec_"))
    signed = f"{id_}.{at}.".encode() + request.body
    expected = base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
    assert request.headers["webhook-signature"] == f"v1,{expected}"
    assert id_ == message["id"]


@pytest.mark.parametrize("code", [302, 404, 500])
def test_a_webhook_that_does_not_take_it_is_an_error_and_no_redirect_is_followed(
    hook: Receiver, settings: Settings, message: Message, code: int
) -> None:
    hook.answers.append(code)

    with pytest.raises(Transient, match=str(code)) as raised:
        channel(settings, ALERT_WEBHOOKS=[f"{hook.url}/secret-token"])(message)

    assert "secret-token" not in str(raised.value)
    assert len(hook.requests) == 1


def test_nobody_there_is_an_error_that_tells_no_secret(
    settings: Settings, message: Message
) -> None:
    with pytest.raises(Transient, match="can't be reached") as raised:
        channel(settings, ALERT_WEBHOOKS=[f"{GONE}/secret-token"])(message)

    assert "secret-token" not in str(raised.value)


@pytest.mark.parametrize("url", [f"{GONE}/s\u00e9cret", "http://[::1/s\u00e9cret"])
def test_an_address_that_is_none_is_an_error_that_tells_no_secret(
    settings: Settings, message: Message, url: str
) -> None:
    with pytest.raises(Transient) as raised:
        channel(settings, ALERT_WEBHOOKS=[url])(message)

    assert "cret" not in str(raised.value)


def test_a_mail_to_what_is_no_address_is_an_error(
    box: Postbox, settings: Settings, message: Message
) -> None:
    with pytest.raises(Transient, match="could not be sent"):
        channel(settings, ALERT_MAIL=["ada@example.com\nbob@example.com"])(message)

    assert box.mails == []


def test_a_ping_to_what_is_no_address_is_a_problem_in_words(settings: Settings) -> None:
    settings.BACKUP = {**settings.BACKUP, "PINGS": {"status": "http://[::1/s\u00e9cret"}}

    (problem,) = pings.of_status(judge(SAFE))

    assert "ping of status" in problem
    assert "cret" not in problem


def test_a_server_that_never_answers_is_not_waited_for_without_end(hook: Receiver) -> None:
    hook.hold.clear()

    with pytest.raises(Transient, match="can't be reached"):
        post(hook.url, b"", {}, seconds=0.2)


@IMGHDR
def test_a_chat_service_gets_it_by_apprise(
    hook: Receiver, settings: Settings, message: Message
) -> None:
    url = hook.url.replace("http://", "json://")

    channel(settings, ALERT_APPRISE=[url])(message)

    (request,) = hook.requests
    assert request.json()["type"] == "failure"
    assert "edms-2.tar.zst" in request.json()["message"]


@IMGHDR
@pytest.mark.parametrize("url", ["json://127.0.0.1:9/secret", "nonsense://secret"])
def test_a_chat_service_that_does_not_take_it_is_an_error(
    settings: Settings, message: Message, url: str
) -> None:
    with pytest.raises(Transient) as raised:
        channel(settings, ALERT_APPRISE=[url])(message)

    assert "secret" not in str(raised.value)


def test_channels_keep_their_key_and_tell_no_secret(settings: Settings) -> None:
    urls = ["https://one.example/T0KEN", "https://two.example/T0KEN"]
    settings.BACKUP = {**settings.BACKUP, "ALERT_SECRET": SECRET, "ALERT_WEBHOOKS": urls}
    both = list(channels.channels())
    settings.BACKUP = {**settings.BACKUP, "ALERT_WEBHOOKS": urls[1:]}

    assert list(channels.channels()) == both[1:]
    assert not any("T0KEN" in key for key in both)


def test_a_monitor_hears_of_the_start_the_success_and_the_failure_of_runs(
    on_project: Project, monitor: Receiver, settings: Settings
) -> None:
    settings.BACKUP = {**settings.BACKUP, "PINGS": {"backup": f"{monitor.url}/uuid?k=v"}}

    run = run_here("backup")
    run_here("drill")  # not in PINGS
    failed = fails("backup", output="/nowhere/at/all/x.tar.zst")

    assert monitor.paths == ["/uuid/start", "/uuid", "/uuid/start", "/uuid/fail"]
    begun, ended = (request.path.partition("?")[2] for request in monitor.requests[:2])
    assert begun == ended
    assert begun.startswith("k=v&rid=")
    assert run.package in monitor.requests[1].body.decode()
    assert failed.pk in monitor.requests[3].body.decode()


def test_a_monitor_hears_of_a_run_whose_process_was_killed(
    on_project: Project, monitor: Receiver, settings: Settings
) -> None:
    """Nobody is left to ping but the reconciler, which fails the run."""
    from backup_tasks import ledger, moments, tasks

    settings.BACKUP = {**settings.BACKUP, "PINGS": {"backup": f"{monitor.url}/uuid"}}
    run, _ = ledger.start("backup", params={}, step_names=("snapshot",), trigger="command")
    assert isinstance(ledger.claim(run.pk, "snapshot"), ledger.Claim)
    long_ago = moments.now() - timedelta(hours=1)
    run.steps.update(owner="elsewhere:-:1:-", lease_until=long_ago)

    assert tasks.reconcile()["failed"] == [run.pk]

    assert monitor.paths == ["/uuid/start", "/uuid/fail"]


def test_a_ping_is_tried_twice_and_a_monitor_that_is_away_fails_no_run(
    on_project: Project, monitor: Receiver, settings: Settings
) -> None:
    monitor.answers += [500]
    settings.BACKUP = {**settings.BACKUP, "PINGS": {"backup": monitor.url, "drill": GONE}}

    assert run_here("backup").state == Run.State.SUCCEEDED
    assert run_here("drill").state == Run.State.SUCCEEDED

    assert [path.rstrip("/") for path in monitor.paths] == ["/start", "/start", ""]


@pytest.mark.parametrize(("facts", "path"), [(SAFE, "/s"), (but(failed=[BAD]), "/s/fail")])
def test_a_monitor_hears_that_somebody_looked(
    monitor: Receiver, settings: Settings, facts: object, path: str
) -> None:
    settings.BACKUP = {**settings.BACKUP, "PINGS": {"status": f"{monitor.url}/s"}}

    assert pings.of_status(judge(facts)) == []  # type: ignore[arg-type]

    assert monitor.paths == [path]
