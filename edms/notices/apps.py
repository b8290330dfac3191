"""The app of notices."""

from django.apps import AppConfig


class NoticesConfig(AppConfig):
    """Notices on the dashboard."""

    name = "edms.notices"
    label = "notices"
    verbose_name = "Notices"
