"""Schedules that are edited in the admin, by django-celery-beat, and stay edited:

celery -A shop beat --scheduler backup_tasks.beat_scheduler:DatabaseScheduler
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django_celery_beat.models import PeriodicTask
from django_celery_beat.schedulers import DatabaseScheduler as _DatabaseScheduler


class DatabaseScheduler(_DatabaseScheduler):  # type: ignore[misc]  # it has no types
    """django-celery-beat's scheduler, which writes the entries of `beat_schedule` over those in the
    database at every start (C15). This one writes those that are not there yet."""

    def update_from_dict(self, mapping: Mapping[str, Any]) -> None:
        there = set(PeriodicTask.objects.filter(name__in=mapping).values_list("name", flat=True))
        missing = {name: entry for name, entry in mapping.items() if name not in there}
        super().update_from_dict(missing)
