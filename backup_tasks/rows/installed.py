"""The models of the project, as far as a backup is concerned. Asks no database."""

from __future__ import annotations

from collections.abc import Iterator

from django.apps import apps

from backup_tasks.conf import BackupSettings
from backup_tasks.rows.databases import each_database, lives_in
from backup_tasks.rows.natural_keys import Model
from backup_tasks.rows.scope import CONTROL_APPS, label


def installed_models() -> list[Model]:
    """Return all models, also those that a swappable setting replaces by others."""
    return apps.get_models(include_auto_created=True, include_swapped=True)


def candidates(settings: BackupSettings) -> Iterator[Model]:
    """Yield the models with tables of their own that the settings do not exclude."""
    excluded = {name.lower() for name in settings.exclude}
    for model in installed_models():
        meta = model._meta
        if meta.proxy or meta.swapped or not meta.managed or meta.app_label in CONTROL_APPS:
            continue
        if not excluded & {meta.app_label, label(model)}:
            yield model


def backed_up(settings: BackupSettings) -> Iterator[Model]:
    """Yield the models whose tables are in the database of the settings."""
    for model in candidates(settings):
        if lives_in(settings.database, model):
            yield model


def backed_up_anywhere(settings: BackupSettings) -> Iterator[Model]:
    """Yield the models whose tables are in one of the databases that are backed up."""
    yield from dict.fromkeys(model for each in each_database(settings) for model in backed_up(each))
