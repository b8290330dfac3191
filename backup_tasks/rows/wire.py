"""Values on their way between a column and a line of a dump.

A value is written so that Django's `loaddata` reads it, that nothing of it is lost, and that the
same value gives the same bytes on every database:

    bool, int, text         JSON's own
    float                   JSON number, shortest that reads back; "NaN", "Infinity", "-Infinity"
    Decimal                 string with the field's scale: "12.50"
    datetime                "2026-11-22T22:33:55.123456+00:00", UTC, always six digits (T3)
    date, time, duration    ISO; Django's "1 02:03:04.000005"
    UUID                    canonical string
    binary                  base64
    JSON                    JSON itself, keys sorted; its stored text goes along when that says more
    anything else           what the field's `value_to_string` makes of it
"""

from __future__ import annotations

import base64
import datetime as dt
import decimal
import json
import math
import uuid
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import orjson
from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils.duration import duration_string

Encode = Callable[[Any], Any]
Decode = Callable[[Any], Any]

_PLAIN = (
    models.CharField,
    models.TextField,
    models.IntegerField,
    models.BooleanField,
    models.AutoField,
    models.FileField,
    models.GenericIPAddressField,
)


def plain_field(field: models.Field[Any, Any]) -> models.Field[Any, Any]:
    """Return the field that holds the value: for a foreign key, the one it refers to."""
    while field.remote_field is not None:
        field = field.target_field  # type: ignore[attr-defined]  # foreign keys have it
    return field


def is_json(field: models.Field[Any, Any]) -> bool:
    """Whether the column holds JSON, which travels as text to keep what Python would lose."""
    return isinstance(plain_field(field), models.JSONField)


def encoder(field: models.Field[Any, Any]) -> Encode | None:
    """Return what turns a value that was read into its wire form; None if it needs nothing.

    JSON columns are read as text and encoded by `json_wire` instead.
    """
    field = plain_field(field)
    for kind, encode in _ENCODERS:
        if isinstance(field, kind):
            return encode
    if isinstance(field, _PLAIN) and _keeps_python_value(field):
        return None
    return _by_field(field)


def decoder(field: models.Field[Any, Any], connection: BaseDatabaseWrapper) -> Decode | None:
    """Return what turns a wire value into a parameter; None if it needs nothing."""
    field = plain_field(field)
    if isinstance(field, models.BinaryField):
        return base64.b64decode
    if connection.vendor == "postgresql" and isinstance(field, _TEXT_ON_POSTGRESQL):
        return None
    if isinstance(field, _PLAIN) and _keeps_python_value(field):
        return None
    return lambda wire: field.get_db_prep_save(field.to_python(wire), connection)


# COPY sends text, and PostgreSQL reads these wire forms as they are.
_TEXT_ON_POSTGRESQL = (
    models.DateTimeField,
    models.DateField,
    models.TimeField,
    models.UUIDField,
    models.DecimalField,
    models.FloatField,
)


def json_wire(text: str, vendor: str) -> tuple[Any, str | None]:
    """Return a JSON column's wire form, and its text where the wire form does not tell it all.

    The wire form has its keys sorted, so that it is the same for the same value on every database.
    The text goes along for JSON's null (which a fixture can't tell from SQL's), for numbers that
    Python would round, and for the order of keys where the database keeps it.
    """
    value = json.loads(text)
    wire: Any = orjson.Fragment(canonical_json(value))
    if vendor == "postgresql":
        faithful = value is not None and text == json.dumps(value, ensure_ascii=False)
    else:
        faithful = value is not None and text == json.dumps(value, sort_keys=True)
    return wire, None if faithful else text


def json_text(wire: Any) -> str:
    """Return the text that a JSON column gets for a wire form that came without its text."""
    return json.dumps(wire)


def canonical_json(value: Any) -> bytes:
    """Return the JSON of `value` with sorted keys and no white space, as UTF-8."""
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except TypeError:  # an integer of more than 64 bits
        text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return text.encode()


def _keeps_python_value(field: models.Field[Any, Any]) -> bool:
    """A subclass with its own conversion is left to its own methods."""
    own = type(field)
    return (
        not hasattr(own, "from_db_value") and own.get_db_prep_save is models.Field.get_db_prep_save
    )


def _by_field(field: models.Field[Any, Any]) -> Encode:
    def encode(value: Any) -> Any:
        return field.value_to_string(SimpleNamespace(**{field.attname: value}))  # type: ignore[arg-type]  # it reads one attribute

    return encode


def _datetime(value: dt.datetime) -> str:
    if value.tzinfo is not None:
        value = value.astimezone(dt.UTC)
    return value.isoformat(timespec="microseconds")


def _float(value: float) -> float | str:
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")


def _decimal(value: decimal.Decimal) -> str:
    return format(value, "f") if value.is_finite() else str(value)


def _base64(value: bytes | memoryview) -> str:
    return base64.b64encode(value).decode("ascii")


def _uuid(value: uuid.UUID) -> str:
    return str(value)


def _time(value: dt.time) -> str:
    return value.isoformat(timespec="microseconds")


def _date(value: dt.date) -> str:
    return value.isoformat()


_ENCODERS: tuple[tuple[type[models.Field[Any, Any]], Encode], ...] = (
    (models.DateTimeField, _datetime),
    (models.DateField, _date),
    (models.TimeField, _time),
    (models.DurationField, duration_string),
    (models.UUIDField, _uuid),
    (models.DecimalField, _decimal),
    (models.FloatField, _float),
    (models.BinaryField, _base64),
)
