"""The app of the web pages: templates and static files."""

from django.apps import AppConfig


class PagesConfig(AppConfig):
    """Pages, templates, styles."""

    name = "edms.pages"
    label = "pages"
    verbose_name = "Pages"
