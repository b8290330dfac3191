"""Checks of the settings that say whom to tell."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from urllib.parse import urlsplit

from django.conf import settings as django_settings
from django.core.checks import CheckMessage, Warning

from backup_tasks.alerts.channels import secret_bytes
from backup_tasks.alerts.pings import KINDS
from backup_tasks.conf import BackupSettings
from backup_tasks.errors import Misconfigured


def wrong_alerts(settings: BackupSettings) -> Iterator[tuple[str, str, str]]:
    """Yield name, problem and hint of the settings whose value is of the wrong kind."""
    urls = settings.alert_webhooks
    if not isinstance(urls, str) and not all(_is_url(url) for url in urls):
        yield "alert_webhooks", "holds what is no address", "Write https://HOST/PATH."
    if settings.alert_webhooks:
        try:
            secret_bytes(str(settings.alert_secret or ""))
        except Misconfigured as error:
            yield "alert_secret", f"can't sign the webhooks: {error.what}", error.hint
    found: object = settings.pings
    if not isinstance(found, Mapping) or not set(found) <= set(KINDS):
        yield "pings", "does not name kinds of runs", f"It can have: {', '.join(KINDS)}."
    elif not all(_is_url(url) for url in found.values()):
        yield "pings", "holds what is no address", "Write https://HOST/PATH."


def check_alerts(settings: BackupSettings) -> Iterator[CheckMessage]:
    """W011: alerts that would not be sent, or could hold the reconciler up for ever."""
    if settings.alert_apprise and find_spec("apprise") is None:
        yield Warning(
            "ALERT_APPRISE is set, and apprise is not installed",
            hint="Install it: `pip install apprise`.",
            id="backup_tasks.W011",
        )
    mailers = getattr(django_settings, "MAILERS", None)
    timeout: object = django_settings.EMAIL_TIMEOUT
    if settings.alert_mail and not mailers and timeout is None:
        yield Warning(
            "ALERT_MAIL is set, and a mail server that does not answer is waited for without end",
            hint="Set EMAIL_TIMEOUT = 30.",
            id="backup_tasks.W011",
        )


def _is_url(url: object) -> bool:
    if not isinstance(url, str):
        return False
    parts = urlsplit(url)
    return parts.scheme in ("http", "https") and bool(parts.hostname) and url.isprintable()
