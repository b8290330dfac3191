"""The shape of a model's rows: which columns are read, how natural keys are joined in, and how a
row becomes a line and a line becomes a row again.

A line is one JSON object that Django's `loaddata` accepts; the members that start with `_` are
ignored by it and keep what an exact restore needs:

    {"model":"documents.document","fields":{"author":["ada"],…},"_pk":12,"_fk":{"author":7}}

`fields` has its keys sorted. `pk` stands beside `model` where the primary key is the row's
identity. `_pk` is the primary key, `_fk` the stored value of each foreign key that `fields` gives
by natural key, `_raw` the stored text of JSON columns whose wire form does not tell it all. The
line without its `_` members is the canonical row: its digest is the same wherever the data is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias, cast

import orjson
from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper

from backup_tasks.errors import DumpFailed, LoadFailed
from backup_tasks.rows import wire
from backup_tasks.rows.natural_keys import Identity, Model

Field: TypeAlias = "models.Field[Any, Any]"
Identities = Mapping[Model, Identity]


class _Query:
    """A SELECT of one table with its natural keys joined in: one query per model, never per row."""

    def __init__(self, model: Model, connection: BaseDatabaseWrapper) -> None:
        self.connection = connection
        self.columns: list[str] = []
        self.readers: list[Callable[[Any], Any] | None] = []
        self._quote = connection.ops.quote_name
        self._joins: dict[tuple[str, str], str] = {}
        self.source = f"{self._quote(model._meta.db_table)} t"

    def add(self, alias: str, field: Field) -> int:
        """Read a column; return its place in the row."""
        sql = f"{alias}.{self._quote(field.column)}"
        if wire.is_json(field) and self.connection.vendor == "postgresql":
            sql += "::text"
        self.columns.append(sql)
        self.readers.append(self._reader(alias, field))
        return len(self.columns) - 1

    def join(self, alias: str, field: Field) -> str:
        """Follow a foreign key from `alias`; return the alias of the row it refers to."""
        key = (alias, field.name)
        if key not in self._joins:
            other = f"j{len(self._joins)}"
            target = cast(models.ForeignKey[Any, Any], field).target_field
            self.source += (
                f" LEFT JOIN {self._quote(target.model._meta.db_table)} {other}"
                f" ON {alias}.{self._quote(field.column)}"
                f" = {other}.{self._quote(target.column)}"
            )
            self._joins[key] = other
        return self._joins[key]

    def add_path(self, alias: str, model: Model, path: str) -> int:
        """Read the value at the end of a path of foreign keys."""
        *through, last = path.split("__")
        for name in through:
            alias, field = self._reach(alias, model, name)
            alias, model = self.join(alias, field), cast(Model, field.related_model)
        return self.add(*self._reach(alias, model, last))

    def _reach(self, alias: str, model: Model, name: str) -> tuple[str, Field]:
        """Go to the table, of the model or of a parent of it, that has the field's column."""
        field = cast(Field, model._meta.get_field(name))
        owner = cast(Model, field.model._meta.concrete_model)
        model = cast(Model, model._meta.concrete_model)
        while owner is not model:
            link = cast(Field, model._meta.get_ancestor_link(owner))
            alias, model = self.join(alias, link), cast(Model, link.related_model)
        return alias, field

    def _reader(self, alias: str, field: Field) -> Callable[[Any], Any] | None:
        if wire.is_json(field):
            return None
        column = field.get_col(alias)
        converters = [
            *self.connection.ops.get_db_converters(column),
            *column.get_db_converters(self.connection),
        ]
        encode = wire.encoder(field)
        if not converters:
            return encode

        def read(value: Any) -> Any:
            for convert in converters:
                value = convert(value, column, self.connection)
            return encode(value) if encode and value is not None else value

        return read

    def sql(self) -> str:
        return f"SELECT {', '.join(self.columns)} FROM {self.source}"


class _Key:
    """Where a row has the parts of a foreign key that is given by natural key."""

    __slots__ = ("found", "name", "parts", "raw")

    def __init__(self, name: str, raw: int, found: int, parts: tuple[int, ...]) -> None:
        self.name, self.raw, self.found, self.parts = name, raw, found, parts


class Shape:
    """How the rows of one model are read from, and written to, one database."""

    def __init__(
        self, model: Model, identities: Identities, connection: BaseDatabaseWrapper
    ) -> None:
        self.model = model
        self.label = model._meta.label_lower
        self.table = model._meta.db_table
        self.identity = identities[model]
        self.connection = connection
        self._pk = _single_pk(model)
        self._query = _Query(model, connection)
        self._pk_at = self._query.add("t", self._pk) if self._pk else None
        self._values: list[tuple[str, int]] = []
        self._json: list[tuple[str, int]] = []
        self._keys: list[_Key] = []
        self.written = [field for field in model._meta.local_concrete_fields if not field.generated]
        for field in sorted(self.written, key=lambda field: field.name):
            if field is not self._pk or field.is_relation or self._names_itself(field):
                self._place(field, identities)
        self.sql = self._query.sql()
        self._head = b'{"model":' + orjson.dumps(self.label)
        self._names = [name for name, _ in self._values]
        self._decoders = [wire.decoder(field, connection) for field in self.written]
        self._by_key = frozenset(key.name for key in self._keys)

    def _names_itself(self, pk: Field) -> bool:
        """A primary key that is part of the natural key is an ordinary field of the line."""
        return self.identity.loadable and pk.name in self.identity.paths

    def _place(self, field: Field, identities: Identities) -> None:
        at = self._query.add("t", field)
        target = identities.get(cast(Model, field.related_model)) if field.is_relation else None
        if target and target.loadable:
            joined = self._query.join("t", field)
            related = cast(Model, field.related_model)
            found = self._query.add(joined, cast(Any, field).target_field)
            parts = tuple(self._query.add_path(joined, related, path) for path in target.paths)
            self._keys.append(_Key(field.name, at, found, parts))
        elif wire.is_json(field):
            self._json.append((field.name, at))
        self._values.append((field.name, at))

    @property
    def columns(self) -> list[str]:
        """The table's columns that a load writes, in the order of `row()`."""
        return [field.column for field in self.written]

    def line(self, row: Sequence[Any]) -> tuple[bytes, bytes]:
        """Return the canonical row, and the whole line without its newline.

        Raises DumpFailed, naming the row, for text that is not valid Unicode.
        """
        readers = self._query.readers
        values = [
            read(value) if read and value is not None else value
            for value, read in zip(row, readers, strict=True)
        ]
        fields = {name: values[at] for name, at in self._values}
        tail: dict[str, Any] = {} if self._pk_at is None else {"_pk": values[self._pk_at]}
        stored = {}
        for key in self._keys:
            if values[key.found] is not None:
                fields[key.name] = [values[part] for part in key.parts]
                stored[key.name] = values[key.raw]
        if stored:
            tail["_fk"] = stored
        try:
            if self._json and (raw := self._read_json(fields)):
                tail["_raw"] = raw
            head = self._head
            if self._pk_at is not None and not self.identity.loadable:
                head += b',"pk":' + orjson.dumps(values[self._pk_at])
            canonical = head + b',"fields":' + orjson.dumps(fields) + b"}"
            rest = orjson.dumps(tail)
        except (TypeError, ValueError) as error:
            raise DumpFailed(
                f"a row can't be written as JSON: {error}",
                obj=f"{self.label} {values[self._pk_at] if self._pk_at is not None else row!r}",
                hint="Mend the value (text with a lone surrogate, say) or exclude the model.",
            ) from error
        return canonical, (canonical[:-1] + b"," + rest[1:] if tail else canonical)

    def _read_json(self, fields: dict[str, Any]) -> dict[str, str]:
        raw = {}
        for name, _ in self._json:
            text = fields[name]
            if text is not None:
                fields[name], stored = wire.json_wire(text, self.connection.vendor)
                if stored is not None:
                    raw[name] = stored
        return raw

    def row(self, line: bytes) -> list[Any]:
        """Return the values of `columns` for one line of a dump. Raises LoadFailed."""
        try:
            data = orjson.loads(line)
            fields = data["fields"]
            return [
                self._column(field, data, fields, decode)
                for field, decode in zip(self.written, self._decoders, strict=True)
            ]
        except (KeyError, TypeError, ValueError) as error:
            raise LoadFailed(
                f"a row of the package can't be read: {type(error).__name__} {error}",
                obj=f"{self.label} {line[:200]!r}",
                hint="The package was made by other code; verify it and restore with that code.",
            ) from error

    def _column(self, field: Field, data: Any, fields: Any, decode: wire.Decode | None) -> Any:
        name = field.name
        if field is self._pk:
            value = data["_pk"]
        elif name in self._by_key and name in data.get("_fk", ()):
            value = data["_fk"][name]
        else:
            value = fields[name]
            if wire.is_json(field):
                text = data.get("_raw", {}).get(name)
                return text if text is not None or value is None else wire.json_text(value)
        return value if value is None or decode is None else decode(value)


def _single_pk(model: Model) -> Field | None:
    """Return the primary key; None where several columns make it (they are ordinary fields)."""
    pk = model._meta.pk
    return None if isinstance(pk, models.CompositePrimaryKey) else pk


def key_query(
    model: Model, paths: Sequence[str], connection: BaseDatabaseWrapper
) -> tuple[list[str], str]:
    """Return the SQL of the columns at the end of the paths, and of the joins that reach them."""
    query = _Query(model, connection)
    for path in paths:
        query.add_path("t", model, path)
    return query.columns, query.source
