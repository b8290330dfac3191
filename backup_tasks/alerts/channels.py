"""The channels: each sends one message, or raises Transient.

Webhooks are signed as Standard Webhooks has it (https://www.standardwebhooks.com): HMAC-SHA256 over
id, time and body, so that libraries which check such signatures exist.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import smtplib
from collections.abc import Callable, Iterator
from functools import partial

from django.core.mail import EmailMessage

from backup_tasks import moments
from backup_tasks.alerts.http import post
from backup_tasks.alerts.message import Message, subject, text
from backup_tasks.conf import BackupSettings, backup_settings
from backup_tasks.errors import Misconfigured, Transient

Channel = Callable[[Message], None]

SECRET_PREFIX = "whsec_"  # noqa: S105  # how a secret begins


def channels() -> dict[str, Channel]:
    """Return what the settings name, by a key that stays the same as long as they do and tells no
    secret."""
    return dict(_channels(backup_settings()))


def _channels(settings: BackupSettings) -> Iterator[tuple[str, Channel]]:
    if settings.alert_mail:
        yield "mail", partial(_mail, list(settings.alert_mail))
    for url in settings.alert_webhooks:
        yield _key("webhook", url), partial(_webhook, url, settings.alert_secret or "")
    for url in settings.alert_apprise:
        yield _key("apprise", url), partial(_apprise, url)


def _key(kind: str, url: str) -> str:
    return f"{kind} {hashlib.sha256(url.encode()).hexdigest()[:8]}"


def _mail(to: list[str], message: Message) -> None:
    mail = EmailMessage(
        subject=subject(message),
        body=text(message),
        to=to,
        # The same where it is sent again, so that readers see it once.
        headers={"Message-ID": f"<{message['id']}@backup-tasks.invalid>"},
    )
    try:
        mail.send()
    except (OSError, smtplib.SMTPException, ValueError) as error:  # ValueError: no address
        raise Transient(f"the mail could not be sent: {error}", obj=", ".join(to)) from error


def _webhook(url: str, secret: str, message: Message) -> None:
    body = json.dumps(message, ensure_ascii=False).encode()
    at = str(int(moments.now().timestamp()))
    headers = {
        "content-type": "application/json",
        "user-agent": "django-backup-tasks",
        "webhook-id": message["id"],
        "webhook-timestamp": at,
        "webhook-signature": signature(secret, message["id"], at, body),
    }
    post(url, body, headers)


def signature(secret: str, id_: str, at: str, body: bytes) -> str:
    """Return the header `webhook-signature`. Raises Misconfigured where the secret is none."""
    signed = b".".join([id_.encode(), at.encode(), body])
    digest = hmac.new(secret_bytes(secret), signed, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"


def secret_bytes(secret: str) -> bytes:
    """Return the key that a secret is the text of. Raises Misconfigured."""
    try:
        raw = base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except ValueError:
        raw = b""
    if not secret.startswith(SECRET_PREFIX) or not 24 <= len(raw) <= 64:
        raise Misconfigured(
            f"it is not {SECRET_PREFIX} and 24 to 64 bytes in base64",
            obj="ALERT_SECRET",
            hint="`python -c \"import base64, secrets; print('whsec_' + "
            'base64.b64encode(secrets.token_bytes(32)).decode())"` makes one.',
        )
    return raw


def _apprise(url: str, message: Message) -> None:
    try:
        import apprise
    except ImportError as error:
        raise Transient(
            f"ALERT_APPRISE needs apprise: {error}",
            obj="apprise",
            hint="Install it: `pip install apprise`.",
        ) from error
    service = apprise.Apprise()
    name = url.partition(":")[0]  # the rest holds secrets
    if not service.add(url):
        raise Transient(
            f"apprise knows no such service: {name}://…",
            obj="ALERT_APPRISE",
            hint="Its documentation has the form of each service's address.",
        )
    kind = {"ok": "success", "critical": "failure"}.get(message["status"], "warning")
    if not service.notify(title=subject(message), body=text(message), notify_type=kind):
        raise Transient(f"{name} did not take the message; apprise's log says why", obj=name)
