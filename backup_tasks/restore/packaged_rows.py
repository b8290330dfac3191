"""The rows of a package, as they are shown to people: found by natural key, without secrets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, cast

import orjson
from django.apps import apps
from django.db import connections, models

from backup_tasks.conf import backup_settings
from backup_tasks.package.entries import ModelEntry
from backup_tasks.package.look import LINE_LIMIT
from backup_tasks.package.manifest import Manifest
from backup_tasks.printable import printable
from backup_tasks.restore.contents import line_format_of
from backup_tasks.restore.packaged_lines import parsed_line
from backup_tasks.rows import value_encoding
from backup_tasks.rows.natural_keys import Model, identity_of

KEY_SEPARATOR = "/"
"""Between the values of a natural key, where it is written as one text."""

HIDDEN = "(not shown: the field's own code reads it, which may decrypt)"
TOO_LONG = f"(not shown: the row has more than {LINE_LIMIT >> 20} MB)"


@dataclass(frozen=True, kw_only=True)
class PackagedRow:
    """A row of a package."""

    number: int
    """Of its line, from 1."""
    key: str
    """Its natural key, else its primary key. Empty for a row that is too long to be read."""
    pk: str
    values: Mapping[str, str]
    """By field, as text; a reference by the natural key that it refers to."""


class PackagedRows:
    """Makes rows of the lines of one model."""

    def __init__(self, manifest: Manifest, entry: ModelEntry) -> None:
        """`manifest` is of the database that the model is in."""
        self.entry = entry
        self._fields = [field.name for field in entry.fields]
        self._secret = _secret_fields(manifest, entry)
        first = dict.fromkeys(path.partition("__")[0] for path in entry.natural_key or ())
        self._key_fields = list(first)

    def rows(
        self, lines: Iterator[bytes | None], *, start: int = 1, search: str = ""
    ) -> Iterator[PackagedRow]:
        """Yield the rows from number `start` on whose key contains `search`, case ignored. Raises
        PackageDamaged."""
        wanted = search.casefold()
        for number, line in enumerate(islice(lines, start - 1, None), start):
            if line is None:
                if not wanted:
                    yield PackagedRow(number=number, key="", pk="", values={"": TOO_LONG})
                continue
            data = parsed_line(line, self.entry.label, number)
            key = self.key_of(data)
            if not wanted or wanted in key.casefold():
                yield self._row(number, key, data)

    def key_of(self, data: Mapping[str, Any]) -> str:
        """Return the key of a parsed line."""
        fields = data["fields"]
        if not self._key_fields or self._secret.intersection(self._key_fields):
            return self._pk(data)
        if any(name not in fields for name in self._key_fields):  # a parent's table has it
            return self._pk(data)
        parts = [part for name in self._key_fields for part in _flat(fields[name])]
        return KEY_SEPARATOR.join(map(_text, parts))

    def _row(self, number: int, key: str, data: Mapping[str, Any]) -> PackagedRow:
        fields, raw = data["fields"], data.get("_raw") or {}
        stored = {**fields, **{name: raw[name] for name in raw if fields.get(name) is None}}
        values = {
            name: HIDDEN if name in self._secret else _text(stored[name])
            for name in self._fields
            if name in stored
        }
        return PackagedRow(number=number, key=key, pk=self._pk(data), values=values)

    def _pk(self, data: Mapping[str, Any]) -> str:
        pk = data.get("_pk", data.get("pk"))
        return "" if pk is None else _text(pk)


def _secret_fields(manifest: Manifest, entry: ModelEntry) -> frozenset[str]:
    """Return the fields whose values may be decrypted ones. Where the model is not installed, only
    the package can tell: format 1 does not."""
    model = _installed(entry.label)
    line_format = line_format_of(manifest)
    if model is None and not line_format.has_stored_values:
        return frozenset(field.name for field in entry.fields)
    clear = {name.rpartition(".")[2] for name in line_format.clear if _is_of(entry.label, name)}
    if model is None:
        return frozenset(clear)
    secret = {field.name for field in model._meta.local_concrete_fields if _refers_to_secret(field)}
    return frozenset(clear | secret)


def _is_of(label: str, name: str) -> bool:
    return name.rpartition(".")[0] == label


def _installed(label: str) -> Model | None:
    try:
        return cast(Model, apps.get_model(label))
    except LookupError:
        return None


def _refers_to_secret(field: models.Field[Any, Any]) -> bool:
    """Whether the value of a field in a line may be a secret: its own, or one of the natural key
    of what it refers to."""
    if not field.is_relation:
        return _may_be_secret(field)
    target = cast(Model, field.related_model)
    paths = identity_of(target, backup_settings().natural_keys).paths
    return any(_may_be_secret(_end_of(target, path)) for path in paths)


def _end_of(model: Model, path: str) -> models.Field[Any, Any]:
    """Return the field at the end of a path of foreign keys."""
    *through, last = path.split("__")
    for name in through:
        model = cast(Model, model._meta.get_field(name).related_model)
    return cast("models.Field[Any, Any]", model._meta.get_field(last))


def _may_be_secret(field: models.Field[Any, Any]) -> bool:
    connection = connections[backup_settings().database]
    return value_encoding.is_custom(field) and value_encoding.may_hide(field, connection)


def _flat(value: Any) -> Iterator[Any]:
    """Yield the values of a natural key, which is a list where it is several or a reference's."""
    if isinstance(value, list):
        for each in value:
            yield from _flat(each)
    else:
        yield value


def _text(value: Any) -> str:
    if value is None:
        return "–"
    text = value if isinstance(value, str) else orjson.dumps(value).decode()
    return printable(text, keep="\n\t")
