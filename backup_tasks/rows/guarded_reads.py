"""What stands around the functions that read a column's values: they may raise, or give what nobody
else may see."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db import models

from backup_tasks.rows import value_encoding

Read = Callable[[Any], Any]

NOT_STANDARD = (ValueError, TypeError, ArithmeticError, AttributeError, LookupError)
"""What readers raise for a value that is not in the standard form."""


class OddValue(ValueError):
    """A stored value is not in the standard form."""


def guarded(read: Read) -> Read:
    """Return the function of a field of the project's own; whatever it raises is ValueError."""

    def guarded_read(value: Any) -> Any:
        try:
            return read(value)
        except Exception as error:
            raise OddValue(f"the field's own code raised {type(error).__name__}") from error

    return guarded_read


def loadable(field: models.Field[Any, Any], read: Read) -> Read:
    """Return the reader with None for what the field would refuse when `loaddata` reads it."""
    accepts = guarded(value_encoding.plain_field(field).to_python)

    def loadable_or_none(value: Any) -> Any:
        found = read(value)
        try:
            accepts(found)
        except OddValue:
            return None
        return found

    return loadable_or_none


def hiding(read: Read) -> Read:
    """Return the reader of a field whose value may be a secret: the column's text where the field
    reads just that, and else None."""

    def standard_or_none(value: Any) -> Any:
        try:
            return value if type(value) is str and read(value) == value else None
        except NOT_STANDARD:
            return None

    return standard_or_none


def lenient(read: Read) -> Read:
    def read_or_none(value: Any) -> Any:
        try:
            return read(value)
        except NOT_STANDARD:
            return None

    return read_or_none
