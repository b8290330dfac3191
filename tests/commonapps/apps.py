"""The app of the doubles."""

from django.apps import AppConfig


class CommonAppsConfig(AppConfig):
    """Not installed by the EDMS."""

    name = "tests.commonapps"
    label = "commonapps"
