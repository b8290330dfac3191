"""The Django application."""

from django.apps import AppConfig


class BackupTasksConfig(AppConfig):
    """Backup, restore and recovery."""

    name = "backup_tasks"
    verbose_name = "Backup and restore"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Register the system checks, and the pings."""
        from backup_tasks.alerts import pings
        from backup_tasks.checks import register_checks

        register_checks()
        pings.connect()
