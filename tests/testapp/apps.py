"""The app of the awkward models."""

from django.apps import AppConfig


class AwkwardConfig(AppConfig):
    """Not installed by the EDMS."""

    name = "tests.testapp"
    label = "testapp"
