"""Writes the members of a package that hold rows: one file of lines for each model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from django.db.backends.base.base import BaseDatabaseWrapper

from backup_tasks.engines import Engine
from backup_tasks.package.entries import FieldEntry, ModelEntry
from backup_tasks.package.names import row_folder, row_member
from backup_tasks.rows.codec import RowCodec
from backup_tasks.rows.identities import settled_identities
from backup_tasks.rows.natural_keys import Model
from backup_tasks.rows.parallel_dump import DumpedModel, Job, dump_all
from backup_tasks.rows.scope import Scope, columns_left_out, label, models_without_table
from backup_tasks.rows.worker_pool import Count


@dataclass(frozen=True, kw_only=True)
class Members:
    """What the manifest says of the members that were written."""

    entries: tuple[ModelEntry, ...]
    """One for each model, in their order."""
    sums: Mapping[str, str]
    """Label → the database's own sums, see `second_look`. Of models that have rows."""
    warnings: tuple[str, ...]
    """Of natural keys that are not unique, models without a table, columns without a field."""


def write_members(
    engine: Engine,
    connection: BaseDatabaseWrapper,
    scope: Scope,
    folder: Path,
    *,
    alias: str,
    natural_keys: Mapping[str, Sequence[str]],
    progress: Count,
) -> Members:
    """Write the rows of the included models, in the snapshot that the connection is in, to
    `folder/database/NNN-app.model.jsonl`, or of the further database `alias` to
    `folder/databases/ALIAS/…`.

    `natural_keys` are those that the settings name. Raises DumpFailed if a model can't be read.
    """
    models = scope.included
    identities, warnings = settled_identities(connection, models, natural_keys)
    warnings += models_without_table(scope)
    warnings += columns_left_out(connection, models)
    (folder / row_folder(alias)).mkdir(parents=True)
    codecs = [RowCodec(model, identities, connection) for model in models]
    members = [
        row_member(number, codec.label, alias) for number, codec in enumerate(codecs, start=1)
    ]
    jobs = [
        Job(codec=codec, member=folder / member)
        for codec, member in zip(codecs, members, strict=True)
    ]
    found = dump_all(engine, jobs, progress)
    return Members(
        entries=tuple(map(_entry, codecs, members, found)),
        sums={
            codec.label: str(read.sums)
            for codec, read in zip(codecs, found, strict=True)
            if read.sums.count
        },
        warnings=warnings,
    )


def _entry(codec: RowCodec, member: str, found: DumpedModel) -> ModelEntry:
    dumped = found.dumped
    return ModelEntry(
        label=codec.label,
        table=codec.table,
        count=dumped.count,
        digest=dumped.digest,
        exact=dumped.exact,
        member=member if dumped.count else None,
        size=dumped.size,
        sha256=dumped.sha256 if dumped.count else "",
        natural_key=codec.identity.paths or None,
        identity="natural" if codec.identity.loadable else "primary key",
        fields=tuple(field_entries(codec.model)),
        dangling=found.dangling,
    )


def field_entries(model: Model) -> Iterator[FieldEntry]:
    """Yield the model's columns, as the manifest lists them."""
    for field in model._meta.local_concrete_fields:
        yield FieldEntry(
            name=field.name,
            column=field.column,
            type=field.get_internal_type(),
            relation=label(cast(Model, field.related_model)) if field.is_relation else None,
        )
