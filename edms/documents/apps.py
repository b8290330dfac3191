"""The app of controlled documents."""

from django.apps import AppConfig


class DocumentsConfig(AppConfig):
    """Documents, versions and files."""

    name = "edms.documents"
    label = "documents"
    verbose_name = "Documents"

    def ready(self) -> None:
        """Keep what search looks through."""
        from edms.documents import indexing  # models exist only once every app is loaded

        indexing.connect()
