"""What a package says of rows that it does not hold: the natural keys that its rows refer to.

A package made without users names them, wherever it refers to one. Staging gets these keys, so that
what is loaded there can be proven, and so that a merge finds the users in live by them.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import orjson

from backup_tasks.errors import DoesNotFit
from backup_tasks.merge.mapped_models import Identities, pk_fields, target_of
from backup_tasks.rows import value_encoding
from backup_tasks.rows.codec import RowCodec
from backup_tasks.rows.natural_keys import Model
from backup_tasks.rows.query import Field

Rows = Iterator[list[Any]]


def is_named(model: Model, identities: Identities) -> bool:
    """Whether rows that refer to the model give its natural key."""
    return model in identities and identities[model].loadable


def keys_of(
    model: Model, codecs: Sequence[tuple[RowCodec, Path | None]], identities: Identities
) -> tuple[list[str], Rows]:
    """Return the columns of the primary key and the natural key, and the rows, each once, that the
    package's members refer to. Raises DoesNotFit for a natural key that is not of the row alone."""
    paths = identities[model].paths
    if any("__" in path for path in paths):
        raise DoesNotFit(
            f"the package is without it, and its natural key ({', '.join(paths)}) leads through "
            "other models",
            obj=model._meta.label_lower,
            hint="Merge a package that holds it.",
        )
    fields: list[Field] = [*pk_fields(model), *(model._meta.get_field(path) for path in paths)]  # type: ignore[list-item]  # columns
    fields = list(dict.fromkeys(fields))
    return [field.column for field in fields], _rows(model, fields, codecs)


def _rows(
    model: Model, fields: Sequence[Field], codecs: Sequence[tuple[RowCodec, Path | None]]
) -> Rows:
    connection = codecs[0][0].connection
    decoders = [value_encoding.decoder(field, connection) for field in fields]
    with closing(sqlite3.connect("")) as scratch:  # a temporary file of SQLite's own
        scratch.execute("CREATE TABLE named (pk PRIMARY KEY, key)")
        for codec, member in codecs:
            names = [
                line_column.name
                for line_column in codec.keys
                if target_of(codec.model._meta.get_field(line_column.name)) is model  # type: ignore[arg-type]  # a column
            ]
            if names and member is not None:
                scratch.executemany(
                    "INSERT OR IGNORE INTO named VALUES (?, ?)", _pairs(member, names)
                )
        for pk, key in scratch.execute("SELECT pk, key FROM named"):
            values = [json.loads(pk), *json.loads(key)][-len(fields) :]
            yield [
                decode(value) if decode and value is not None else value
                for decode, value in zip(decoders, values, strict=True)
            ]


def _pairs(member: Path, names: Sequence[str]) -> Iterable[tuple[str, str]]:
    with member.open("rb") as lines:
        for line in lines:
            row = orjson.loads(line)
            for name in names:
                if isinstance(row["fields"][name], list):
                    yield json.dumps(row["_fk"][name]), json.dumps(row["fields"][name])
