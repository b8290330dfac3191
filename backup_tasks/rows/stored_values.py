"""Values as SQLite and MariaDB store them, past the conversions of driver, backend and field.

A column is read as it is stored. Each kind of field has a standard form, in which Django stores its
values: the JSON of such a value tells it whole, and `value_encoding.decoder` makes the same stored
value of it. Anything else (text in a number's column, a decimal with more places than the field, a
zero date) travels in `_raw` besides; its JSON is what Django would read, or null.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, cast

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils import dateparse, timezone
from django.utils.duration import duration_string

from backup_tasks.engines.sqlite.texts import UndecodedText
from backup_tasks.rows import value_encoding
from backup_tasks.rows.guarded_reads import OddValue, guarded, lenient

ToJson = Callable[[Any], Any]


@dataclass(frozen=True, kw_only=True)
class StoredReader:
    """Makes JSON of a column's stored values; NULL is not asked for."""

    standard: ToJson
    """Raises one of NOT_STANDARD for a value that its JSON would not tell whole."""
    other: ToJson
    """For all other values: what Django would read, or None."""


def stored_reader(
    field: models.Field[Any, Any], connection: BaseDatabaseWrapper, *, clear: bool = False
) -> StoredReader:
    """Return the reader of a column of SQLite or MariaDB. `clear`: what a custom field makes of
    text or bytes is returned too, which may be a secret."""
    field = value_encoding.plain_field(field)
    if value_encoding.is_custom(field):
        return _custom_reader(field, connection, clear=clear)
    encode = value_encoding.encoder(field)
    if encode is None or value_encoding.is_json(field):
        return _unencoded_reader(field)
    if encode in _READERS:
        return _READERS[encode](field, connection)
    return StoredReader(standard=_refuse, other=lenient(guarded(_of_django(field, connection))))


def _refuse(value: Any) -> Any:
    raise OddValue


def _unencoded_reader(field: Any) -> StoredReader:
    if isinstance(field, models.BooleanField):
        return StoredReader(standard=_bool, other=lambda value: value in (1, "1", b"1"))
    if isinstance(field, models.IntegerField):
        return StoredReader(standard=_int, other=_text_or_number)
    if isinstance(field, models.GenericIPAddressField):
        return StoredReader(standard=_address(field), other=_text_or_number)
    if value_encoding.is_json(field):
        return StoredReader(standard=_text, other=_nothing)
    return StoredReader(standard=_text, other=_text_or_number)


def _bool(value: Any) -> bool:
    if type(value) is int and 0 <= value <= 1:
        return value == 1
    raise OddValue


def _int(value: Any) -> int:
    if type(value) is int:
        return value
    raise OddValue


def _text(value: Any) -> str:
    if type(value) is str:
        return value
    raise OddValue


def _address(field: Any) -> ToJson:
    def standard(value: Any) -> str:
        text = _text(value)
        if ":" in text and guarded(field.to_python)(text) != text:
            raise OddValue
        return text

    return standard


def _text_or_number(value: Any) -> Any:
    if isinstance(value, UndecodedText):
        return str(value)
    return value if type(value) in (str, int) else (str(value) if type(value) is float else None)


def _datetimes(field: Any, connection: BaseDatabaseWrapper) -> StoredReader:
    zone = connection.timezone
    exact = connection.vendor == "sqlite"

    def standard(value: Any) -> str:
        moment = dt.datetime.fromisoformat(value)
        if moment.tzinfo or value[10] != " " or (exact and str(moment) != value):
            raise OddValue
        if zone is dt.UTC:
            return moment.isoformat(timespec="microseconds") + "+00:00"
        if zone is None:
            return moment.isoformat(timespec="microseconds")
        aware = moment.replace(tzinfo=zone).astimezone(dt.UTC)
        if aware.astimezone(zone).replace(tzinfo=None) != moment or moment.fold:
            raise OddValue
        return aware.isoformat(timespec="microseconds")

    def other(value: Any) -> str | None:
        moment = dateparse.parse_datetime(value)
        if moment is None:
            return None
        if zone is not None and timezone.is_naive(moment):
            moment = moment.replace(tzinfo=zone)
        return value_encoding.encode_datetime(moment)

    return StoredReader(standard=standard, other=lenient(other))


def _dates(field: Any, connection: BaseDatabaseWrapper) -> StoredReader:
    def standard(value: Any) -> str:
        if dt.date.fromisoformat(value).isoformat() != value:
            raise OddValue
        return str(value)

    def other(value: Any) -> str | None:
        date = dateparse.parse_date(value)
        return date.isoformat() if date else None

    return StoredReader(standard=standard, other=lenient(other))


def _times(field: Any, connection: BaseDatabaseWrapper) -> StoredReader:
    exact = connection.vendor == "sqlite"

    def standard(value: Any) -> str:
        time = dt.time.fromisoformat(value)
        if exact and str(time) != value:
            raise OddValue
        return time.isoformat(timespec="microseconds")

    def other(value: Any) -> str | None:
        time = dateparse.parse_time(value)
        return time.isoformat(timespec="microseconds") if time else None

    return StoredReader(standard=standard, other=lenient(other))


def _durations(field: Any, connection: BaseDatabaseWrapper) -> StoredReader:
    def standard(value: Any) -> str:
        return duration_string(dt.timedelta(microseconds=_int(value)))

    return StoredReader(standard=standard, other=_nothing)


def _nothing(value: Any) -> None:
    return None


def _uuids(field: Any, connection: BaseDatabaseWrapper) -> StoredReader:
    native = connection.features.has_native_uuid_field

    def standard(value: Any) -> str:
        read = uuid.UUID(value)
        if (str(read) if native else read.hex) != value:
            raise OddValue
        return str(read)

    return StoredReader(standard=standard, other=lenient(lambda value: str(uuid.UUID(value))))


def _decimals(field: Any, connection: BaseDatabaseWrapper) -> StoredReader:
    if connection.vendor == "sqlite":
        read = _decimal_of_sqlite(field, connection)
        number = value_encoding.number_of_decimal

        def standard(value: Any) -> str:
            encoded: str = read(value)
            back = number(encoded)
            if type(back) is not type(value) or back != value:
                raise OddValue
            return encoded

        return StoredReader(standard=standard, other=lenient(read))

    def of_mariadb(value: Any) -> str:
        if not isinstance(value, Decimal):
            raise OddValue
        return value_encoding.encode_decimal(value)

    return StoredReader(
        standard=of_mariadb,
        other=lenient(lambda value: value_encoding.encode_decimal(Decimal(str(value)))),
    )


def _decimal_of_sqlite(field: Any, connection: BaseDatabaseWrapper) -> ToJson:
    """Return what Django's backend does: fifteen digits, rounded as the field says."""
    column = field.get_col("t")
    convert = cast(Any, connection.ops).get_decimalfield_converter(column)

    def read(value: Any) -> str:
        if type(value) not in (int, float):
            raise OddValue
        return value_encoding.encode_decimal(convert(value, column, connection))

    return read


def _floats(field: Any, connection: BaseDatabaseWrapper) -> StoredReader:
    def standard(value: Any) -> Any:
        if type(value) is not float:
            raise OddValue
        return value_encoding.encode_float(value)

    return StoredReader(standard=standard, other=_text_or_number)


def _binaries(field: Any, connection: BaseDatabaseWrapper) -> StoredReader:
    def standard(value: Any) -> str:
        if type(value) is not bytes:
            raise OddValue
        return value_encoding.encode_base64(value)

    def other(value: Any) -> str:
        data = value if isinstance(value, UndecodedText) else str(value).encode()
        return value_encoding.encode_base64(data)

    return StoredReader(standard=standard, other=lenient(other))


_READERS: dict[Any, Callable[[Any, BaseDatabaseWrapper], StoredReader]] = {
    value_encoding.encode_datetime: _datetimes,
    value_encoding.encode_date: _dates,
    value_encoding.encode_time: _times,
    duration_string: _durations,
    value_encoding.encode_uuid: _uuids,
    value_encoding.encode_decimal: _decimals,
    value_encoding.encode_float: _floats,
    value_encoding.encode_base64: _binaries,
}


def _custom_reader(field: Any, connection: BaseDatabaseWrapper, *, clear: bool) -> StoredReader:
    read = lenient(guarded(_of_django(field, connection)))
    hidden = value_encoding.may_hide(field, connection) and not clear

    def standard(value: Any) -> str:
        if type(value) is str and read(value) == value:
            return value
        raise OddValue

    return StoredReader(standard=standard, other=_nothing if hidden else read)


def _of_django(field: Any, connection: BaseDatabaseWrapper) -> ToJson:
    """Return a function that reads a stored value as Django does, with all its conversions."""
    column = field.get_col("t")
    converters = [
        *connection.ops.get_db_converters(column),
        *column.get_db_converters(connection),
    ]
    encode = value_encoding.encoder(field)
    parse = _parser(field, connection)

    def read(value: Any) -> Any:
        value = parse(value) if parse else value
        for convert in converters:
            value = convert(value, column, connection)
        return value_encoding.json_value(encode(value) if encode and value is not None else value)

    return read


def _parser(field: Any, connection: BaseDatabaseWrapper) -> ToJson | None:
    """Return what makes of MariaDB's text of a date or time what its driver gives."""
    if connection.vendor != "mysql":
        return None
    column_type = str(field.db_type(connection))
    parsers: dict[str, ToJson] = {
        "datetime": dt.datetime.fromisoformat,
        "date": dt.date.fromisoformat,
        "time": dt.time.fromisoformat,
    }
    return next((parse for name, parse in parsers.items() if column_type.startswith(name)), None)
