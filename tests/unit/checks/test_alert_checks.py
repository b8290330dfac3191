"""Settings that say whom to tell, and could not be used."""

import importlib.util
from importlib.machinery import ModuleSpec

import pytest
from pytest_django import Settings

from tests.unit.checks.fired import Fired, messages

SECRET = "whsec_" + "c2VjcmV0" * 6
HOOK = ["https://hooks.example.com/x"]


@pytest.mark.parametrize(
    ("named", "changed"),
    [
        ("ALERT_MAIL", {"ALERT_MAIL": "ada@example.com"}),
        ("ALERT_WEBHOOKS", {"ALERT_WEBHOOKS": HOOK[0], "ALERT_SECRET": SECRET}),
        ("ALERT_WEBHOOKS", {"ALERT_WEBHOOKS": ["file:///etc/passwd"], "ALERT_SECRET": SECRET}),
        ("ALERT_WEBHOOKS", {"ALERT_WEBHOOKS": ["https://"], "ALERT_SECRET": SECRET}),
        ("ALERT_WEBHOOKS", {"ALERT_WEBHOOKS": ["http://[::1"], "ALERT_SECRET": SECRET}),
        ("ALERT_WEBHOOKS", {"ALERT_WEBHOOKS": ["http://h:port/"], "ALERT_SECRET": SECRET}),
        ("ALERT_WEBHOOKS", {"ALERT_WEBHOOKS": ["http://h/\u00e4"], "ALERT_SECRET": SECRET}),
        ("ALERT_WEBHOOKS", {"ALERT_WEBHOOKS": ["http://h/a b"], "ALERT_SECRET": SECRET}),
        ("ALERT_SECRET", {"ALERT_WEBHOOKS": HOOK}),
        ("ALERT_SECRET", {"ALERT_WEBHOOKS": HOOK, "ALERT_SECRET": "whsec_c2hvcnQ="}),
        ("ALERT_SECRET", {"ALERT_WEBHOOKS": HOOK, "ALERT_SECRET": SECRET.removeprefix("whsec_")}),
        ("ALERT_SECRET", {"ALERT_WEBHOOKS": HOOK, "ALERT_SECRET": "whsec_ä"}),
        ("PINGS", {"PINGS": {"nightly": "https://hc-ping.com/x"}}),
        ("PINGS", {"PINGS": {"backup": "hc-ping.com/x"}}),
        ("PINGS", {"PINGS": ["https://hc-ping.com/x"]}),
    ],
)
def test_what_cannot_be_used_is_an_error_that_names_the_setting(
    fired: Fired, named: str, changed: dict[str, object]
) -> None:
    assert named in fired("E002", **changed).msg


def test_a_mail_server_that_could_be_waited_for_without_end_is_a_warning(
    fired: Fired, settings: Settings
) -> None:
    settings.EMAIL_TIMEOUT = None

    assert "EMAIL_TIMEOUT" in str(fired("W011", ALERT_MAIL=["ada@example.com"]).hint)


def test_where_there_is_mailers_no_other_setting_of_mail_is_read(
    fired: Fired, settings: Settings
) -> None:
    """Django 6.1 raises AttributeError for them."""
    del settings.EMAIL_TIMEOUT
    settings.MAILERS = {"default": {"OPTIONS": {"host": "mail.example.com"}}}
    assert "MAILERS" in str(fired("W011", ALERT_MAIL=["ada@example.com"]).hint)

    settings.MAILERS = {"default": {"OPTIONS": {"host": "mail.example.com", "timeout": 30}}}
    settings.BACKUP = {**settings.BACKUP, "ALERT_MAIL": ["ada@example.com"]}
    assert messages() == []


def test_apprise_that_is_not_installed_is_a_warning(
    fired: Fired, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nothing(name: str) -> ModuleSpec | None:
        return None if name == "apprise" else find(name)

    find = importlib.util.find_spec
    monkeypatch.setattr("backup_tasks.checks.alerts.find_spec", nothing)

    assert "apprise" in fired("W011", ALERT_APPRISE=["json://hooks.example.com"]).msg


def test_settings_that_can_be_used_hear_nothing(settings: Settings) -> None:
    settings.BACKUP = {
        **settings.BACKUP,
        "ALERT_MAIL": ["ada@example.com"],
        "ALERT_WEBHOOKS": HOOK,
        "ALERT_SECRET": SECRET,
        "ALERT_APPRISE": ["json://hooks.example.com"],
        "PINGS": {"backup": "https://hc-ping.com/x", "status": "http://127.0.0.1:8000/y"},
    }

    assert messages() == []
