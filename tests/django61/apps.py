"""The app of the new fields."""

from django.apps import AppConfig


class Django61Config(AppConfig):
    """Not installed by the EDMS."""

    name = "tests.django61"
    label = "django61"
