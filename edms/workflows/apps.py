"""The app of review workflows; it also keeps the system's defaults in place."""

from typing import Any

from django.apps import AppConfig
from django.apps import apps as installed
from django.apps.registry import Apps
from django.db.models.signals import post_migrate


class WorkflowsConfig(AppConfig):
    """States, allowed transitions and history."""

    name = "edms.workflows"
    label = "workflows"
    verbose_name = "Workflows"

    def ready(self) -> None:
        """Seed the defaults after each migrate; this app is the last one of the EDMS."""
        post_migrate.connect(_seed, sender=self, dispatch_uid="edms.defaults")


def _seed(*, using: str, apps: Apps = installed, **_: Any) -> None:
    from edms import defaults  # models exist only once every app is loaded

    defaults.seed(using, apps)
