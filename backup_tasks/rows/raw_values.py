"""`_raw`: which values of a line have it, and how a load writes them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

from backup_tasks.rows import value_encoding
from backup_tasks.rows.line_format import LineFormat
from backup_tasks.rows.query import Field, Query
from backup_tasks.rows.stored_values import of_raw


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
            if self._is_portable:
                if self._holds_bytes and self._vendor == "postgresql":
                    return bytes.fromhex(str(stored).removeprefix("\\x"))
                return stored
            if encoded is None:
                raise ValueError(f"{self._name} has {stored!r}, which only {self._vendor} holds")
        if encoded is None or self._decode is None:
            return encoded
        return self._decode(encoded)


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
