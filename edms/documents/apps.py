"""The app of controlled documents."""

from django.apps import AppConfig


class DocumentsConfig(AppConfig):
    """Documents, versions and files."""

    name = "edms.documents"
    label = "documents"
    verbose_name = "Documents"
