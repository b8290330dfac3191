"""How the lines of a package are written: what a reader of one has to know."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper

from backup_tasks.conf import backup_settings

STORED_VALUES = 2
"""Since this format of the package, `_raw` has each stored value that `fields` does not tell
whole."""


@dataclass(frozen=True, kw_only=True)
class LineFormat:
    """The format of lines. Both a dump and the proof of a restore write it."""

    number: int
    """Of the package."""
    vendor: str
    """Of the database that the rows were read from: `_raw` is in its own terms."""
    zone: str
    """The TIME_ZONE in which datetimes are written, without an offset: that of a project whose
    USE_TZ is False. Empty: they are in UTC, with an offset."""

    clear: tuple[str, ...] = ()
    """`app.model.field` of the fields whose decrypted values are written, too."""

    def shows(self, field: models.Field[Any, Any]) -> bool:
        """Whether `fields` has what a field of the project's own makes of its column, which may be
        a secret."""
        name = f"{field.model._meta.label_lower}.{field.name}"
        return not self.has_stored_values or name in self.clear

    @property
    def has_stored_values(self) -> bool:
        """Whether `_raw` has the stored values of all fields."""
        return self.number >= STORED_VALUES


def of_project(connection: BaseDatabaseWrapper) -> LineFormat:
    """Return the format in which this project's rows are dumped."""
    return LineFormat(
        number=STORED_VALUES, vendor=connection.vendor, zone=project_zone(), clear=clear_fields()
    )


def clear_fields() -> tuple[str, ...]:
    """Return `LineFormat.clear` of this project."""
    return tuple(sorted(name.lower() for name in backup_settings().clear_fields))


def project_zone() -> str:
    """Return `LineFormat.zone` of this project."""
    return "" if settings.USE_TZ else settings.TIME_ZONE
