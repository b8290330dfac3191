"""The app of the audit trail."""

from django.apps import AppConfig


class AuditConfig(AppConfig):
    """Connects the recording of changes."""

    name = "edms.audit"
    label = "audit"
    verbose_name = "Audit trail"

    def ready(self) -> None:
        """Watch the controlled models."""
        from edms.audit import recording  # models exist only once every app is loaded

        recording.connect()
