"""A channel whose setting is wrong is a problem of its own, and no other's."""

from pytest_django import Settings

from backup_tasks.alerts.watch import watch
from tests.unit.alerts.conftest import long_ago
from tests.unit.alerts.receivers import Postbox, Receiver


def test_a_channel_whose_setting_is_wrong_keeps_no_other_from_being_told(
    with_hook: Receiver, settings: Settings
) -> None:
    mine, other = settings.BACKUP["ALERT_WEBHOOKS"][0], "http://[::1/"
    settings.BACKUP = {**settings.BACKUP, "ALERT_WEBHOOKS": [other, mine]}

    (problem,) = watch()

    assert "the address is none" in problem
    assert len(with_hook.requests) == 1


def test_a_secret_that_is_none_keeps_no_mail_from_being_sent(
    with_hook: Receiver, box: Postbox, settings: Settings
) -> None:
    settings.BACKUP = {**settings.BACKUP, "ALERT_MAIL": ["ada@example.com"], "ALERT_SECRET": "no"}

    (problem,) = watch()
    long_ago()
    assert watch() == [problem]

    assert "ALERT_SECRET" in problem
    assert [len(with_hook.requests), len(box.mails)] == [0, 1]
