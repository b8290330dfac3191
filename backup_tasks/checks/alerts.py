"""Checks of the settings that say whom to tell."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from urllib.parse import urlsplit

from django.conf import settings as django_settings
from django.core.checks import CheckMessage, Warning

from backup_tasks.alerts.channels import secret_bytes
from backup_tasks.alerts.http import ADDRESS_HINT
from backup_tasks.alerts.pings import KINDS
from backup_tasks.conf import BackupSettings
from backup_tasks.errors import Misconfigured


def wrong_alerts(settings: BackupSettings) -> Iterator[tuple[str, str, str]]:
    """Yield name, problem and hint of the settings whose value is of the wrong kind."""
    urls = settings.alert_webhooks
    if not isinstance(urls, str) and not all(_is_url(url) for url in urls):
        yield "alert_webhooks", "holds what is no address", ADDRESS_HINT
    if settings.alert_webhooks:
        try:
            secret_bytes(str(settings.alert_secret or ""))
        except Misconfigured as error:
            yield "alert_secret", f"can't sign the webhooks: {error.what}", error.hint
    found: object = settings.pings
    if not isinstance(found, Mapping) or not set(found) <= set(KINDS):
        yield "pings", "does not name kinds of runs", f"It can have: {', '.join(KINDS)}."
    elif not all(_is_url(url) for url in found.values()):
        yield "pings", "holds what is no address", ADDRESS_HINT


def check_alerts(settings: BackupSettings) -> Iterator[CheckMessage]:
    """W011: alerts that would not be sent, or could hold the reconciler up for ever."""
    if settings.alert_apprise and find_spec("apprise") is None:
        yield Warning(
            "ALERT_APPRISE is set, and apprise is not installed",
            hint="Install it: `pip install apprise`.",
            id="backup_tasks.W011",
        )
    if settings.alert_mail and (timeout := _missing_timeout()):
        yield Warning(
            "ALERT_MAIL is set, and a mail server that does not answer is waited for without end",
            hint=f"Set {timeout}.",
            id="backup_tasks.W011",
        )


def _missing_timeout() -> str | None:
    """Return the setting to make if mail has no timeout. Where there is MAILERS (Django 6.1), the
    other settings of mail can't even be read."""
    mailers = getattr(django_settings, "MAILERS", None)
    if mailers is not None:
        options = mailers.get("default", {}).get("OPTIONS", {})
        own = "BACKEND" in mailers.get("default", {})
        return None if own or options.get("timeout") else "timeout in the OPTIONS of MAILERS"
    timeout: object = django_settings.EMAIL_TIMEOUT
    return "EMAIL_TIMEOUT = 30" if timeout is None else None


def _is_url(url: object) -> bool:
    if not isinstance(url, str):
        return False
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018  # read, it is checked
    except ValueError:
        return False
    plain = url.isascii() and url.isprintable() and " " not in url
    return parts.scheme in ("http", "https") and bool(parts.hostname) and plain
