"""The app of system settings."""

from django.apps import AppConfig


class ConfigurationConfig(AppConfig):
    """Settings that are data."""

    name = "edms.configuration"
    label = "configuration"
    verbose_name = "Configuration"
