"""A small EDMS, and somebody to tell."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from django.core import mail
from pytest_django import Settings

from backup_tasks import moments
from backup_tasks.alerts import state
from tests.services import Project
from tests.unit.alerts.receivers import Postbox, Receiver, http_receiver, smtp_receiver

SECRET = "whsec_" + "c2VjcmV0" * 6


@pytest.fixture
def engine() -> str:
    """Nothing here depends on the database."""
    return "sqlite"


@pytest.fixture
def hook() -> Iterator[Receiver]:
    """Where webhooks go."""
    with http_receiver() as receiver:
        yield receiver


@pytest.fixture
def monitor() -> Iterator[Receiver]:
    """Where pings go."""
    with http_receiver() as receiver:
        yield receiver


@pytest.fixture
def box(settings: Settings) -> Iterator[Postbox]:
    """A mail server, which Django is told of."""
    with smtp_receiver() as box:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", box.port
        settings.EMAIL_TIMEOUT = 10
        assert mail.get_connection().port == box.port
        yield box


@pytest.fixture
def with_hook(on_project: Project, hook: Receiver, settings: Settings) -> Receiver:
    """The project tells one webhook."""
    settings.BACKUP = {
        **settings.BACKUP,
        "ALERT_WEBHOOKS": [f"{hook.url}/alerts"],
        "ALERT_SECRET": SECRET,
    }
    return hook


def long_ago(path: Path | None = None) -> None:
    """Make the last look, and all attempts, those of an hour ago: what passing time does."""
    with state.held(path or state.default_file()) as file:
        assert file is not None
        earlier = (moments.now() - timedelta(hours=1)).isoformat()
        file.state["looked_at"] = earlier
        for sending in file.state["outbox"]:
            sending["next_at"] = earlier
        file.save()
