"""Moments of the ledger: aware datetimes in UTC, whatever the project's USE_TZ says.

With `USE_TZ = False` Django refuses aware datetimes on SQLite and MariaDB, and reads those of
PostgreSQL as local time, in which one hour of the year happens twice.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.db import models
from django.utils import timezone


def now() -> datetime:
    """Return the moment of the call."""
    return datetime.now(UTC)


class MomentField(models.DateTimeField):  # type: ignore[type-arg]  # it is generic in the stubs only
    """A DateTimeField whose values are aware; the column holds UTC.

    Migrations see a DateTimeField: the column is the same.
    """

    def deconstruct(self) -> Any:
        name, _, arguments, options = super().deconstruct()
        return name, "django.db.models.DateTimeField", arguments, options

    def pre_save(self, model_instance: models.Model, add: bool) -> Any:
        if self.auto_now or (self.auto_now_add and add):
            setattr(model_instance, self.attname, now())
        return getattr(model_instance, self.attname)

    def get_prep_value(self, value: Any) -> Any:
        if settings.USE_TZ:
            return super().get_prep_value(value)
        moment = self.to_python(value)
        if isinstance(moment, datetime) and timezone.is_naive(moment):
            return timezone.make_aware(moment)  # the project's own, of the admin's filters
        return moment

    def get_db_prep_value(self, value: Any, connection: Any, prepared: bool = False) -> Any:
        moment = value if prepared else self.get_prep_value(value)
        if not settings.USE_TZ and connection.vendor != "postgresql" and moment is not None:
            moment = timezone.make_naive(moment, UTC)
        return super().get_db_prep_value(moment, connection, prepared=True)

    def select_format(self, compiler: Any, sql: str, params: Any) -> tuple[str, Any]:
        if not settings.USE_TZ and compiler.connection.vendor == "postgresql":
            return f"{sql} AT TIME ZONE 'UTC'", params
        return sql, params

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> datetime | None:
        if isinstance(value, datetime) and timezone.is_naive(value):
            return value.replace(tzinfo=UTC)
        return value  # type: ignore[no-any-return]
