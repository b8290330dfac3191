"""Fixtures for the tests of the system checks."""

from typing import Any

import pytest
from django.core.checks import CheckMessage
from pytest_django import Settings

from tests.unit.checks.fired import Fired, messages


@pytest.fixture
def fired(settings: Settings) -> Fired:
    """Call it with an id and settings: the message that these settings make fire."""

    def check(check_id: str, **changed: Any) -> CheckMessage:
        settings.BACKUP = {**settings.BACKUP, **changed}
        found = [message for message in messages() if message.id == f"backup_tasks.{check_id}"]
        assert found, f"{check_id} did not fire; {messages()}"
        assert found[0].hint
        return found[0]

    return check
