"""The referenced keys: natural keys of rows that a package refers to but does not hold.

A package without users has the natural key of each user that a row refers to. These keys are loaded
into staging, so that the digests of what is loaded can be proven, and so that a merge finds the
users in live.
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
    """Whether lines that refer to the model have its natural key."""
    return model in identities and identities[model].loadable


def keys_of(
    model: Model, codecs: Sequence[tuple[RowCodec, Path | None]], identities: Identities
) -> tuple[list[str], Rows]:
    """Return the columns of the primary key and the natural key, and the values of each row that
    the members refer to, once. Raises DoesNotFit for a natural key that leads through foreign
    keys."""
    paths = identities[model].paths
    if any("__" in path for path in paths):
        raise DoesNotFit(
            f"the package does not hold this model, and its natural key ({', '.join(paths)}) leads "
            "through other models",
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
    with closing(sqlite3.connect("")) as scratch:  # in a temporary file: flat memory
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
