"""The codec of a model: it encodes a row as a line of the dump, and decodes a line to a row.

A line is one JSON object that Django's `loaddata` accepts. `loaddata` ignores the members that
start with `_`; they hold what an exact restore needs:

    {"model":"documents.document","fields":{"author":["ada"],…},"_pk":12,"_fk":{"author":7}}

The keys of `fields` are sorted. A model whose identity is its primary key has a member `pk` after
`model`. `_pk` is the primary key. `_fk` has the stored value of each foreign key that `fields`
gives by natural key. `_raw` has the stored text of columns whose encoded value loses something.
The line without its `_` members is the canonical row: its digest is the same on every database.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, cast

import orjson
from django.core.exceptions import ValidationError
from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper

from backup_tasks.errors import DumpFailed, LoadFailed
from backup_tasks.rows import json_text, value_encoding
from backup_tasks.rows.guarded_reads import NOT_STANDARD
from backup_tasks.rows.line_format import LineFormat, of_project
from backup_tasks.rows.natural_keys import Identity, Model
from backup_tasks.rows.query import KEEPS_TEXT, Field, Query
from backup_tasks.rows.raw_values import StoredTexts, as_raw, json_parameter, row_decoders

Identities = Mapping[Model, Identity]
Line = tuple[bytes, bytes]
"""A line as prefix and suffix. The prefix is the canonical row without its closing brace. Prefix
and suffix together are the line."""
Lines = tuple[Sequence[bytes], Sequence[bytes]]
"""A batch of lines: the prefixes, and the suffixes in the same order."""

BATCH_BYTES = 1 << 16
"""The approximate size of a batch of lines."""


@dataclass(frozen=True, kw_only=True)
class Key:
    """A foreign key that is written as a natural key, and where a row has the values of that
    key."""

    model: Model
    paths: tuple[str, ...]
    target_index: int
    """Index of the column that the key refers to. It is NULL where the target does not exist."""
    indexes: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class LineColumn:
    """A member of a line's `fields`."""

    name: str
    index: int
    """Index of its value in the row."""
    key: Key | None
    is_json: bool


class RowCodec:
    """Encodes and decodes the rows of one model, as one database has them."""

    def __init__(
        self,
        model: Model,
        identities: Identities,
        connection: BaseDatabaseWrapper,
        *,
        line_format: LineFormat | None = None,
    ) -> None:
        """`line_format` is that of the package; None: what this project dumps."""
        self.model = model
        self.label = model._meta.label_lower
        self.table = model._meta.db_table
        self.identities = identities
        self.identity = identities[model]
        self.connection = connection
        self.line_format = line_format or of_project(connection)
        self.query = Query(model, connection, line_format=self.line_format)
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
        self._decoders = row_decoders(self.written, connection, self.line_format)
        self._needed_decoders = [decoder for decoder in self._decoders if decoder.needed]
        self._stored_texts = StoredTexts(self.written, self.query)
        self._names = {line_column.index: line_column.name for line_column in self.line_columns}
        if self._pk is not None and self.pk_index is not None:
            self._names[self.pk_index] = self._pk.name
        self._reads = [column.read for column in self.query.columns]

    def _pk_is_in_natural_key(self, pk: Field) -> bool:
        """Whether the natural key includes the primary key, which then is a field like others."""
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

    def encode(self, row: Sequence[Any]) -> Line:
        """Return the line of a row. Raises DumpFailed, which names the row, for invalid Unicode."""
        values, odd = self._read(row)
        fields = {line_column.name: values[line_column.index] for line_column in self.line_columns}
        hidden: dict[str, Any] = {} if self.pk_index is None else {"_pk": values[self.pk_index]}
        if self.keys:
            hidden["_fk"] = {
                line_column.name: values[line_column.index] for line_column in self.keys
            }
        for line_column in self.keys:
            if line_column.key and values[line_column.key.target_index] is not None:
                fields[line_column.name] = [values[index] for index in line_column.key.indexes]
        try:
            raw = self._encode_json_fields(fields)
            raw |= odd
            raw |= self._stored_texts.of(fields, values)
            if raw:
                hidden["_raw"] = raw
            prefix = self.prefix(None if self.pk_index is None else values[self.pk_index])
            prefix += orjson.dumps(fields)
            suffix = orjson.dumps(hidden)
        except (TypeError, ValueError) as error:
            raise self.unreadable_row(row, error) from error
        return prefix, b"," + suffix[1:] if hidden else b"}"

    def _read(self, row: Sequence[Any]) -> tuple[list[Any], dict[str, Any]]:
        """Return the encoded values, and by the field's name the stored ones that they do not tell
        whole. Raises DumpFailed."""
        values: list[Any] = []
        odd: dict[str, Any] = {}
        for read, value in zip(self._reads, row, strict=True):
            if value is None or read is None:
                values.append(value)
                continue
            try:
                values.append(read(value))
            except NOT_STANDARD as error:
                at = len(values)
                other = self.query.columns[at].other
                if other is None and not self._stored_texts.has(at):
                    raise self.unreadable_row(row, error) from error
                values.append(other(value) if other else None)
                if self.line_format.has_stored_values and at in self._names and other:
                    odd[self._names[at]] = as_raw(value)
        return values, odd

    def prefix(self, pk: Any) -> bytes:
        """Return what a line has before the value of `fields`."""
        pk_member = b',"pk":' + orjson.dumps(pk) if self.pk_is_identity else b""
        return b'{"model":' + orjson.dumps(self.label) + pk_member + b',"fields":'

    def unreadable_row(self, row: object, error: Exception) -> DumpFailed:
        """Return the error for a row that can't be encoded."""
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
                text = fields[name].removeprefix(KEEPS_TEXT)
                try:
                    canonical, stored = json_text.encode_json(text, self.connection.vendor)
                    if text != fields[name]:
                        stored = text
                except ValueError:  # see encode_json
                    if not self.line_format.has_stored_values:
                        raise
                    canonical, stored = b"null", text
                fields[name] = orjson.Fragment(canonical)
                if stored is not None:
                    raw[name] = stored
        return raw

    def decode(self, line: bytes) -> list[Any]:
        """Return the values of `columns` for one line of a dump. Raises LoadFailed.

        A line of Django's `dumpdata --format jsonl` that has a primary key can be decoded too.
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
            for decoder in self._decoders if raw else self._needed_decoders:
                values[decoder.at] = decoder.decode(values[decoder.at], raw)
            for at, name in self._json_fields:
                if name in raw:
                    values[at] = json_parameter(
                        name, values[at], raw[name], self.connection, self.line_format.vendor
                    )
                elif values[at] is not None:
                    values[at] = json_text.json_text(values[at], self.connection.vendor)
        except (KeyError, TypeError, ValueError, ValidationError) as error:
            raise LoadFailed(
                f"a row of the package can't be read: {type(error).__name__} {error}",
                obj=f"{self.label} {line[:200]!r}",
                hint="The package was made by other code; verify it and restore with that code.",
            ) from error
        return values


def _single_pk(model: Model) -> Field | None:
    """Return the primary key, or None for a composite one, whose columns are fields like others."""
    pk = model._meta.pk
    return None if isinstance(pk, models.CompositePrimaryKey) else pk


def _getter_of(names: list[str]) -> Callable[[dict[str, Any]], Sequence[Any]]:
    """Return a function that takes the values of these names, in this order, from `fields`."""
    if len(names) == 1:
        return lambda fields: [fields[names[0]]]
    return itemgetter(*names)
