"""The app of people and roles."""

from django.apps import AppConfig


class UsersConfig(AppConfig):
    """Users, departments and roles."""

    name = "edms.users"
    label = "users"
    verbose_name = "People"
