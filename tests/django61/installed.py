"""Installs the app for as long as somebody looks at it, and makes its tables."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.apps import apps
from django.conf import settings
from django.db import connection
from django.test import override_settings


@contextmanager
def installed() -> Iterator[None]:
    """Let the app be one of the project's."""
    with override_settings(INSTALLED_APPS=[*settings.INSTALLED_APPS, "tests.django61"]):
        yield


def make_tables() -> None:
    """Make the tables of the models that the database supports."""
    with connection.schema_editor() as editor:
        for model in apps.get_app_config("django61").get_models():
            if model._meta.can_migrate(connection):
                editor.create_model(model)
