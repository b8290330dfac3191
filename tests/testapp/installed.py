"""Installs the app for as long as somebody looks at it."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings
from django.test import override_settings


@contextmanager
def installed() -> Iterator[None]:
    """Let the app be one of the project's."""
    with override_settings(
        INSTALLED_APPS=[*settings.INSTALLED_APPS, "tests.testapp"],
        TESTAPP_SWITCHED_MODEL="testapp.SwitchedIn",
    ):
        yield
