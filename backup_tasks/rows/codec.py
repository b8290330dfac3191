"""The shape of a model's rows: how a row becomes a line, and a line becomes a row again.

A line is one JSON object that Django's `loaddata` accepts; the members that start with `_` are
ignored by it and keep what an exact restore needs:

    {"model":"documents.document","fields":{"author":["ada"],…},"_pk":12,"_fk":{"author":7}}

`fields` has its keys sorted. `pk` stands beside `model` where the primary key is the row's
identity. `_pk` is the primary key, `_fk` the stored value of each foreign key that `fields` gives
by natural key, `_raw` the stored text of columns whose wire form does not tell it all. The
line without its `_` members is the canonical row: its digest is the same wherever the data is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, cast

import orjson
from django.core.exceptions import ValidationError
from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper

from backup_tasks.errors import DumpFailed, LoadFailed
from backup_tasks.rows import value_encoding
from backup_tasks.rows.natural_keys import Identity, Model
from backup_tasks.rows.query import Field, Query

Identities = Mapping[Model, Identity]
Line = tuple[bytes, bytes]
"""A line, parted: the canonical row without its closing brace, and the rest. The line is both, the
canonical row the first and a closing brace."""
Lines = tuple[Sequence[bytes], Sequence[bytes]]
"""Some lines: the first part of each, the rest of each."""

BATCH_BYTES = 1 << 16
"""Of lines in a batch, about."""
_BATCH_ROWS = 200


@dataclass(frozen=True, kw_only=True)
class Key:
    """A foreign key that is given by natural key, and where a row has the parts of that."""

    model: Model
    paths: tuple[str, ...]
    target_index: int
    """The column that the key refers to: NULL where it leads nowhere."""
    indexes: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class LineColumn:
    """A member of a line's `fields`."""

    name: str
    index: int
    """Place of its value in the row."""
    key: Key | None
    is_json: bool


class RowCodec:
    """How the rows of one model are read from, and written to, one database."""

    def __init__(
        self, model: Model, identities: Identities, connection: BaseDatabaseWrapper
    ) -> None:
        self.model = model
        self.label = model._meta.label_lower
        self.table = model._meta.db_table
        self.identities = identities
        self.identity = identities[model]
        self.connection = connection
        self.query = Query(model, connection)
        self._pk = _single_pk(model)
        self.pk_index = self.query.add("t", self._pk) if self._pk else None
        self.written = [field for field in model._meta.local_concrete_fields if not field.generated]
        self.line_columns = tuple(
            self._line_column(field, identities)
            for field in sorted(self.written, key=lambda field: field.name)
            if field is not self._pk or field.is_relation or self._pk_is_in_natural_key(field)
        )
        self.keys = tuple(line_column for line_column in self.line_columns if line_column.key)
        self.pk_is_identity = self.pk_index is not None and not self.identity.loadable
        self._take_values = _getter_of([field.name for field in self.written])
        self._json_fields = [
            (at, field.name)
            for at, field in enumerate(self.written)
            if value_encoding.is_json(field)
        ]
        self._decoders = [
            (at, field.name, decode)
            for at, field in enumerate(self.written)
            if not value_encoding.is_json(field)
            and (decode := value_encoding.decoder(field, connection))
        ]
        self._is_postgresql = connection.vendor == "postgresql"
        self._stored_texts = [
            (field.name, self.query.add_text("t", field))
            for field in self.written
            if self._is_postgresql and value_encoding.needs_stored_text(field)
        ]

    def _pk_is_in_natural_key(self, pk: Field) -> bool:
        """A primary key that is part of the natural key is an ordinary field of the line."""
        return self.identity.loadable and pk.name in self.identity.paths

    def _line_column(self, field: Field, identities: Identities) -> LineColumn:
        index = self.query.add("t", field)
        related = cast(Model, field.related_model)
        target = identities.get(cast(Model, related._meta.concrete_model)) if related else None
        key = None
        if target and target.loadable:
            target_alias = self.query.join("t", field)
            key = Key(
                model=related,
                paths=target.paths,
                target_index=self.query.add(target_alias, cast(Any, field).target_field),
                indexes=tuple(
                    self.query.add_path(target_alias, related, path) for path in target.paths
                ),
            )
        return LineColumn(
            name=field.name, index=index, key=key, is_json=value_encoding.is_json(field)
        )

    @property
    def columns(self) -> list[str]:
        """The table's columns that a load writes, in the order of `row()`."""
        return [field.column for field in self.written]

    def read_lines(self) -> Iterator[Lines]:
        """Read all rows; yield their lines in batches. Raises DumpFailed, django.db errors."""
        with self.connection.chunked_cursor() as cursor:
            cursor.execute(self.query.sql())
            batch_rows = 1
            while rows := cursor.fetchmany(batch_rows):
                prefixes, suffixes = zip(*map(self.encode, rows), strict=True)
                yield prefixes, suffixes
                # Rows may be of any size: the next batch is as many as fit, by the last one's.
                fitting_rows = BATCH_BYTES * len(rows) // sum(map(len, (*prefixes, *suffixes)))
                batch_rows = max(1, min(fitting_rows, 10 * batch_rows, _BATCH_ROWS))

    def encode(self, row: Sequence[Any]) -> Line:
        """Return the line of a row. Raises DumpFailed, naming it, for text that is not Unicode."""
        values = [
            column.read(value) if column.read and value is not None else value
            for value, column in zip(row, self.query.columns, strict=True)
        ]
        fields = {line_column.name: values[line_column.index] for line_column in self.line_columns}
        tail: dict[str, Any] = {} if self.pk_index is None else {"_pk": values[self.pk_index]}
        if self.keys:
            tail["_fk"] = {line_column.name: values[line_column.index] for line_column in self.keys}
        for line_column in self.keys:
            if line_column.key and values[line_column.key.target_index] is not None:
                fields[line_column.name] = [values[index] for index in line_column.key.indexes]
        try:
            raw = self._encode_json_fields(fields)
            raw |= {name: values[at] for name, at in self._stored_texts if values[at] is not None}
            if raw:
                tail["_raw"] = raw
            prefix = self.prefix(None if self.pk_index is None else values[self.pk_index])
            prefix += orjson.dumps(fields)
            suffix = orjson.dumps(tail)
        except (TypeError, ValueError) as error:
            raise self.unreadable_row(row, error) from error
        return prefix, b"," + suffix[1:] if tail else b"}"

    def prefix(self, pk: Any) -> bytes:
        """Return the start of a line, up to the value of `fields`."""
        shown = b',"pk":' + orjson.dumps(pk) if self.pk_is_identity else b""
        return b'{"model":' + orjson.dumps(self.label) + shown + b',"fields":'

    def unreadable_row(self, row: object, error: Exception) -> DumpFailed:
        """Return the error for a row that can't be a line."""
        known = self.pk_index is not None and isinstance(row, Sequence)
        return DumpFailed(
            f"a row can't be written as JSON: {error}",
            obj=f"{self.label} {cast(Any, row)[self.pk_index] if known else row!r}",
            hint="Mend the value (text with a lone surrogate, say) or exclude the model.",
        )

    def _encode_json_fields(self, fields: dict[str, Any]) -> dict[str, str]:
        raw = {}
        for _, name in self._json_fields:
            if fields[name] is not None:
                canonical, stored = value_encoding.encode_json(fields[name], self.connection.vendor)
                fields[name] = orjson.Fragment(canonical)
                if stored is not None:
                    raw[name] = stored
        return raw

    def decode(self, line: bytes) -> list[Any]:
        """Return the values of `columns` for one line of a dump. Raises LoadFailed.

        A line of Django's `dumpdata --format jsonl` will do too, if it has primary keys.
        """
        try:
            data = orjson.loads(line)
            fields = data["fields"]
            if self.keys:
                fields.update(data.get("_fk", ()))
            if self._pk is not None:
                fields[self._pk.name] = data["_pk"] if "_pk" in data else data["pk"]
            values = [*self._take_values(fields)]
            raw = data.get("_raw", {})
            for at, name, decode in self._decoders:
                if self._is_postgresql and name in raw:
                    values[at] = raw[name]
                elif values[at] is not None:
                    values[at] = decode(values[at])
            for at, name in self._json_fields:
                if name in raw:
                    values[at] = raw[name]
                elif values[at] is not None:
                    values[at] = value_encoding.json_text(values[at], self.connection.vendor)
        except (KeyError, TypeError, ValueError, ValidationError) as error:
            raise LoadFailed(
                f"a row of the package can't be read: {type(error).__name__} {error}",
                obj=f"{self.label} {line[:200]!r}",
                hint="The package was made by other code; verify it and restore with that code.",
            ) from error
        return values


def _single_pk(model: Model) -> Field | None:
    """Return the primary key; None where several columns make it (they are ordinary fields)."""
    pk = model._meta.pk
    return None if isinstance(pk, models.CompositePrimaryKey) else pk


def _getter_of(names: list[str]) -> Callable[[dict[str, Any]], Sequence[Any]]:
    """Return what takes the members of these names from a line's `fields`, in this order."""
    if len(names) == 1:
        return lambda fields: [fields[names[0]]]
    return itemgetter(*names)
