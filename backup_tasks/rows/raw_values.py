"""`_raw`: which values of a line have it, how they stand there, and how a load writes them."""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

from backup_tasks.engines.sqlite.texts import UndecodedText
from backup_tasks.rows import value_encoding
from backup_tasks.rows.line_format import LineFormat
from backup_tasks.rows.query import Field, Query


def as_raw(value: Any) -> Any:
    """Return how a stored value stands in `_raw`: text and numbers as JSON's own, bytes as
    `{"blob": base64}`, infinities as `{"real": "inf"}`, text that is not UTF-8 as
    `{"text": hexadecimal digits of its bytes}`."""
    if isinstance(value, UndecodedText):
        return {"text": value.hex()}
    if isinstance(value, bytes | memoryview):
        return {"blob": base64.b64encode(value).decode("ascii")}
    if isinstance(value, float) and not math.isfinite(value):
        return {"real": str(value)}
    return value if isinstance(value, str | int | float) else str(value)


def of_raw(raw: Any) -> Any:
    """Return the stored value that `as_raw` was given. Raises ValueError, TypeError or KeyError
    for what `as_raw` never returns."""
    if isinstance(raw, dict):
        if "blob" in raw:
            return base64.b64decode(raw["blob"], validate=True)
        if "text" in raw:
            return UndecodedText(bytes.fromhex(raw["text"]))
        return float(raw["real"])
    if not isinstance(raw, str | int | float):
        raise TypeError(f"{raw!r} is no stored value")
    return raw


class StoredTexts:
    """PostgreSQL's own texts of values, read beside them in a query."""

    def __init__(self, written: Sequence[Field], query: Query) -> None:
        stores_values = query.line_format.has_stored_values
        self._always: list[tuple[str, int]] = []
        self._unless_equal: list[tuple[str, int, bool]] = []
        self._columns: set[int] = set()
        if query.connection.vendor != "postgresql":
            return
        for field in written:
            if value_encoding.is_json(field) or (stores_values and value_encoding.is_opaque(field)):
                continue
            known = value_encoding.needs_stored_text(field)
            custom = value_encoding.is_custom(field)
            unknown = custom or not value_encoding.is_known(field)
            if not known and not (unknown and stores_values):
                ambiguous = query.add_ambiguous_time("t", field)
                beyond = query.add_not_in_python("t", field)
                self._always += [(field.name, at) for at in (ambiguous, beyond) if at is not None]
                continue
            index = query.add_text("t", field)
            if known and not (custom and stores_values):
                self._always.append((field.name, index))
            else:
                hides = value_encoding.may_hide(field, query.connection) and custom
                hides = hides and not query.line_format.shows(field)
                self._unless_equal.append((field.name, index, hides))
            self._columns |= {
                at
                for at, column in enumerate(query.columns)
                if column.field is field and at != index
            }

    def has(self, at: int) -> bool:
        """Whether the text of the column with this index is read too."""
        return at in self._columns

    def of(self, fields: dict[str, Any], values: Sequence[Any]) -> dict[str, Any]:
        """Return what `_raw` has of a row, and take from `fields` what may be a secret."""
        raw = {name: values[at] for name, at in self._always if values[at] is not None}
        for name, at, hides in self._unless_equal:
            text = values[at]
            if text is not None and fields.get(name) != text:
                raw[name] = text
                if hides:
                    fields[name] = None
                elif name in fields and not isinstance(fields[name], list):
                    fields[name] = value_encoding.json_value(fields[name])
        return raw


class RowDecoder:
    """Makes query parameters of one field's values in lines."""

    def __init__(
        self, at: int, field: Field, connection: BaseDatabaseWrapper, line_format: LineFormat
    ) -> None:
        self.at = at
        """Place of the value in a row."""
        self._name = field.name
        self._decode = _decoder(field, connection, line_format)
        self._vendor = line_format.vendor
        self._is_same_vendor = line_format.vendor == connection.vendor
        hides = value_encoding.may_hide(field, connection)
        self._is_portable = value_encoding.is_custom(field) and hides
        self._holds_bytes = value_encoding.holds_bytes(field, connection)

    @property
    def needed(self) -> bool:
        """Whether values of lines without `_raw` need it."""
        return self._decode is not None

    def decode(self, encoded: Any, raw: Mapping[str, Any]) -> Any:
        """Return the parameter for the value in `fields`, and what `_raw` has. Raises ValueError
        for a stored value that this kind of database has no place for."""
        if self._name in raw:
            stored = of_raw(raw[self._name])
            if self._is_same_vendor:
                return stored
            if self._is_portable and not isinstance(stored, UndecodedText):
                if self._holds_bytes and self._vendor == "postgresql":
                    return bytes.fromhex(str(stored).removeprefix("\\x"))
                return stored
            if encoded is None or isinstance(stored, UndecodedText):
                raise _foreign(self._name, stored, self._vendor)
        if encoded is None or self._decode is None:
            return encoded
        return self._decode(encoded)


def json_parameter(
    name: str, encoded: Any, raw: Any, connection: BaseDatabaseWrapper, vendor: str
) -> Any:
    """Return the parameter for a JSON column whose value has `raw` in `_raw`. `vendor` is that of
    the package. Raises ValueError for what only that kind of database takes for JSON."""
    stored = of_raw(raw)
    is_value = isinstance(stored, str) and (encoded is not None or stored.strip() == "null")
    if connection.vendor != vendor and not is_value:
        raise _foreign(name, stored, vendor)
    return stored


def _foreign(name: str, stored: Any, vendor: str) -> ValueError:
    return ValueError(f"{name} has {stored!r}, which only {vendor} holds")


def row_decoders(
    written: Sequence[Field], connection: BaseDatabaseWrapper, line_format: LineFormat
) -> list[RowDecoder]:
    """Return the decoder of each field, but of those of JSON."""
    return [
        RowDecoder(at, field, connection, line_format)
        for at, field in enumerate(written)
        if not value_encoding.is_json(field)
    ]


def _decoder(
    field: Field, connection: BaseDatabaseWrapper, line_format: LineFormat
) -> Callable[[Any], Any] | None:
    if line_format.has_stored_values:
        # Without `_raw`, `fields` has the text of the column itself, which the field's own code
        # might refuse or change.
        is_same_vendor = line_format.vendor == connection.vendor
        if is_same_vendor and not value_encoding.is_known(field):
            return None
        if value_encoding.is_custom(field) and value_encoding.may_hide(field, connection):
            return None
    zone = line_format.zone
    if (
        connection.vendor == "postgresql"
        and zone
        and value_encoding.encoder(field) is value_encoding.encode_datetime
    ):
        # The server takes the zone from the value, whatever the connection's is.
        return lambda encoded: f"{encoded} {zone}"
    return value_encoding.decoder(field, connection)
