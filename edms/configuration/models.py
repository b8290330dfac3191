"""Settings that are data: kept in the database, changed in the admin, part of a backup."""

from typing import Any

from django.db import models

from backup_tasks.rows.natural_keys import NaturalKeyModel


class SystemSetting(NaturalKeyModel):
    """One named value."""

    natural_key_fields = ("key",)

    key = models.SlugField(max_length=60, unique=True)
    value = models.JSONField(null=True, blank=True)
    description = models.CharField(max_length=200, blank=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["key"]

    def __str__(self) -> str:
        return self.key


def setting(key: str, default: Any) -> Any:
    """Return the value of the setting `key`; `default` where there is none."""
    value = SystemSetting.objects.filter(key=key).values_list("value", flat=True).first()
    return default if value is None else value
