"""The value encoding: from the value of a column to its JSON form in a line, and back.

Django's `loaddata` reads the encoded values, they lose nothing, and the same value has the same
bytes on every database:

    bool, int, text         JSON's own
    float                   shortest JSON number that reads back; "NaN", "Infinity", "-Infinity"
    Decimal                 string with the field's scale: "12.50"
    datetime                "2026-11-22T22:33:55.123456+00:00", UTC, always six digits (T3)
    date, time, duration    ISO; Django's "1 02:03:04.000005"
    UUID                    canonical string
    binary                  base64
    JSON                    JSON itself, keys sorted; the line has the stored text too, in `_raw`,
                            if that says more
    anything else           what the field's `value_to_string` returns; for arrays, ranges and the
                            like the line has PostgreSQL's text too, in `_raw`. A field that
                            converts nothing: PostgreSQL's text
"""

from __future__ import annotations

import base64
import datetime as dt
import decimal
import math
import uuid
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils import timezone
from django.utils.dateparse import parse_duration
from django.utils.duration import duration_string

Encode = Callable[[Any], Any]
Decode = Callable[[Any], Any]

_UNENCODED = (
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
    """Whether the column holds JSON. It is read and written as text, since parsing loses some of
    it."""
    return isinstance(plain_field(field), models.JSONField) and not is_custom(field)


def is_custom(field: models.Field[Any, Any]) -> bool:
    """Whether the field's own code reads the column (`from_db_value`): it may round, decrypt,
    decompress, or read NULL and "" as the same."""
    read = getattr(type(plain_field(field)), "from_db_value", None)
    return read is not None and read is not models.JSONField.from_db_value


_NOT_HIDING = (
    *("bool", "tinyint", "smallint", "int", "bigint", "serial", "real", "double", "float"),
    *("decimal", "numeric", "date", "time", "timestamp", "interval", "uuid"),
)


def may_hide(field: models.Field[Any, Any], connection: BaseDatabaseWrapper) -> bool:
    """Whether what the field makes of the column may be a secret, or not be its text at all: where
    the column holds text or bytes, which a field of its own may decrypt or decompress."""
    kind = str(plain_field(field).db_type(connection) or "").lower()
    return not kind.startswith(_NOT_HIDING)


def holds_bytes(field: models.Field[Any, Any], connection: BaseDatabaseWrapper) -> bool:
    """Whether the column holds bytes."""
    kind = str(plain_field(field).db_type(connection) or "").lower()
    return "blob" in kind or kind.startswith(("bytea", "binary", "varbinary"))


def is_known(field: models.Field[Any, Any]) -> bool:
    """Whether the value of the field is encoded here, and not by code of its own."""
    field = plain_field(field)
    encode = encoder(field)
    return not is_custom(field) and (encode is None or encode in _ENCODES)


_CONVERSIONS = (
    *("to_python", "value_to_string"),
    *("get_prep_value", "get_db_prep_value", "get_db_prep_save"),
)


def is_opaque(field: models.Field[Any, Any]) -> bool:
    """Whether the field gives its column a type that is not known here, and converts nothing: its
    value is PostgreSQL's own text of it."""
    own = type(plain_field(field))
    return (
        not is_known(field)
        and not is_custom(field)
        and all(getattr(own, name) is getattr(models.Field, name) for name in _CONVERSIONS)
    )


def json_value(value: Any) -> Any:
    """Return a value that JSON has; None for any other."""
    return value if isinstance(value, str | int | float) else None


def number_of_decimal(encoded: str) -> int | float:
    """Return the number that SQLite stores for a decimal: an integer where it is whole."""
    number = float(encoded)
    return int(number) if number.is_integer() and abs(number) < 2**63 else number


def needs_stored_text(field: models.Field[Any, Any]) -> bool:
    """Whether PostgreSQL's text of a value says more than the Python value: bounds and NULLs of an
    array, infinity in a range, months of an interval."""
    field = plain_field(field)
    return isinstance(field, models.DurationField) or any(
        kind.__module__.startswith("django.contrib.postgres.") for kind in type(field).__mro__
    )


def encoder(field: models.Field[Any, Any]) -> Encode | None:
    """Return the function that encodes a value of the field; None if the value is encoded as it is.

    JSON columns are read as text, which `encode_json` encodes.
    """
    field = plain_field(field)
    for kind, encode in _ENCODERS:
        if isinstance(field, kind):
            return encode
    if isinstance(field, _UNENCODED) and _has_default_conversion(field):
        return None
    return _field_encoder(field)


def decoder(field: models.Field[Any, Any], connection: BaseDatabaseWrapper) -> Decode | None:
    """Return the function that makes a query parameter of an encoded value; None if none is
    needed."""
    field = plain_field(field)
    if not is_custom(field):
        encode = encoder(field)
        if encode is None or is_json(field):
            return None
        if connection.vendor == "postgresql" and is_opaque(field):
            return None
        if encode is encode_base64:
            return base64.b64decode
        if connection.vendor == "postgresql" and encode in _TEXT_ON_POSTGRESQL:
            return None
        if encode in _DECODERS:
            return lambda encoded: _DECODERS[encode](encoded, connection)
    return lambda encoded: field.get_db_prep_save(field.to_python(encoded), connection)


def _datetime_text(encoded: str, connection: BaseDatabaseWrapper) -> str:
    moment = dt.datetime.fromisoformat(encoded)
    if connection.timezone is None:
        if moment.tzinfo is not None:
            raise ValueError("a datetime with an offset, and USE_TZ is False here")
        return str(moment)
    return str(timezone.make_naive(moment, connection.timezone))


def _duration(encoded: str, connection: BaseDatabaseWrapper) -> Any:
    duration = parse_duration(encoded)
    if duration is None:
        raise ValueError(f"{encoded} is no duration")
    return duration if connection.vendor == "postgresql" else duration // dt.timedelta.resolution


def _uuid(encoded: str, connection: BaseDatabaseWrapper) -> str:
    read = uuid.UUID(encoded)
    return str(read) if connection.features.has_native_uuid_field else read.hex


def _decimal(encoded: str, connection: BaseDatabaseWrapper) -> Any:
    return number_of_decimal(encoded) if connection.vendor == "sqlite" else encoded


def _has_default_conversion(field: models.Field[Any, Any]) -> bool:
    """Whether the field has no conversion of its own, so that the Python value is what is
    stored."""
    own = type(field)
    # Not that of `Field` itself: Django 6.1 gives AutoField another one.
    of_django = own.get_db_prep_save.__module__ == models.Field.__module__
    return of_django and not hasattr(own, "from_db_value")


def _field_encoder(field: models.Field[Any, Any]) -> Encode:
    def encode(value: Any) -> Any:
        return field.value_to_string(SimpleNamespace(**{field.attname: value}))  # type: ignore[arg-type]  # it reads one attribute

    return encode


def encode_datetime(value: dt.datetime) -> str:
    if value.tzinfo is not None:
        value = value.astimezone(dt.UTC)
    return value.isoformat(timespec="microseconds")


def encode_float(value: float) -> float | str:
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")


def encode_decimal(value: decimal.Decimal) -> str:
    return format(value, "f") if value.is_finite() else str(value)


def encode_base64(value: bytes | memoryview) -> str:
    return base64.b64encode(value).decode("ascii")


def encode_uuid(value: uuid.UUID) -> str:
    return str(value)


def encode_time(value: dt.time) -> str:
    return value.isoformat(timespec="microseconds")


def encode_date(value: dt.date) -> str:
    return value.isoformat()


_ENCODERS: tuple[tuple[type[models.Field[Any, Any]], Encode], ...] = (
    (models.DateTimeField, encode_datetime),
    (models.DateField, encode_date),
    (models.TimeField, encode_time),
    (models.DurationField, duration_string),
    (models.UUIDField, encode_uuid),
    (models.DecimalField, encode_decimal),
    (models.FloatField, encode_float),
    (models.BinaryField, encode_base64),
)

# COPY sends text, and PostgreSQL reads the encoded values of these fields as they are.
_TEXT_ON_POSTGRESQL = frozenset(
    {encode_datetime, encode_date, encode_time, encode_uuid, encode_decimal, encode_float}
)

_DECODERS: dict[Any, Callable[[Any, BaseDatabaseWrapper], Any]] = {
    encode_datetime: _datetime_text,
    encode_date: lambda encoded, connection: encoded,
    encode_time: lambda encoded, connection: str(dt.time.fromisoformat(encoded)),
    duration_string: _duration,
    encode_uuid: _uuid,
    encode_decimal: _decimal,
    encode_float: lambda encoded, connection: float(encoded),
}

_ENCODES = frozenset(encode for _, encode in _ENCODERS)
