"""Load the package into staging: rows into its tables, files into the run folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import BufferedReader, FileIO
from pathlib import Path
from typing import Any, BinaryIO, cast

from django.db import IntegrityError, connections

from backup_tasks.backup import referenced_files
from backup_tasks.engines import Engine, engine_for
from backup_tasks.errors import DoesNotFit, ValidationFailed
from backup_tasks.merge.referenced_keys import is_named, keys_of
from backup_tasks.package.manifest import Manifest
from backup_tasks.package.names import file_member
from backup_tasks.restore import (
    file_swap,
    migration_compatibility,
    recorded_verdicts,
    referred,
    structure,
)
from backup_tasks.restore.contents import (
    codecs_of,
    entries_of,
    expected_files,
    keeps_other_files,
    models_beside,
    models_referred_to,
    unpacked_selection,
)
from backup_tasks.restore.run_folder import Ask
from backup_tasks.rows.codec import RowCodec
from backup_tasks.rows.natural_keys import Model
from backup_tasks.rows.parallel_load import Job, load_all
from backup_tasks.steps import Work
from backup_tasks.storage.file_storages import project_trees
from backup_tasks.storage.files import Tree


@recorded_verdicts.records_verdict("restore")
def load(work: Work) -> dict[str, Any]:
    """Return {"rows": number, "files": number}.

    Raises LoadFailed, ValidationFailed, HandoverChanged, DoesNotFit.
    """
    folder = work.workspace / "in"
    manifest = work.manifest()
    if keeps_other_files(manifest):
        referenced_files.begin(folder)
    rows = sum(map(_load_database, work.each_database()))
    trees = project_trees() if manifest.files is not None else []
    files = sum(_stage_files(work, manifest, folder, tree) for tree in trees)
    expected = expected_files(manifest, folder)
    if expected is not None and files != expected:
        raise DoesNotFit(
            f"the package holds {expected} files, {files} belong to storages of this project",
            obj=f"package {manifest.id}",
            hint="Name the missing storages in settings.BACKUP['FILE_STORAGES'].",
        )
    return {"rows": rows, "files": files}


def _load_database(work: Work) -> int:
    manifest = work.manifest()
    engine = engine_for(work.settings.database)
    with work.named():
        rows = _load_rows(work, engine, manifest, work.workspace / "in") if manifest.models else 0
        if structure.is_like_live(work.results) and work.params.get("mode") != "merge":
            tables = [entry.table for entry in manifest.models]
            engine.complete(engine.schema_name("staging", work.run_id), tables)
    return rows


def _load_rows(work: Work, engine: Engine, manifest: Manifest, folder: Path) -> int:
    alias, schema = engine.alias, structure.loaded_schema(work.results)
    with engine.at(schema):
        connection = connections[alias]
        models_then = migration_compatibility.apps_of(manifest, work.settings)
        codecs = codecs_of(manifest, models_then, connection)
        models = [codec.model for codec in codecs]
        merging = work.params.get("mode") == "merge"
        carried = (
            models_referred_to(models, alias)
            if merging  # live keeps its other tables, so staging does not need them
            else models_beside(models, work.settings)
        )
        tables = [model._meta.db_table for model in (*models, *carried)]
        engine.refuse_hidden_rows(tables)
        with (
            _constraints_explained(folder, work.params),
            engine.loading(tables, attempt=work.attempt) as token,
        ):
            if merging:
                members = list(zip(codecs, _members(manifest, folder), strict=True))
                carried = _carry_keys(engine, carried, members)
            engine.copy_from_live([model._meta.db_table for model in carried])
            jobs = [
                Job(codec=codec, member=folder / entry.member, sha256=entry.sha256)
                for codec, entry in zip(codecs, manifest.models, strict=True)
                if entry.member
            ]
            total = manifest.totals.rows
            done = load_all(
                engine,
                jobs,
                lambda rows, note: work.progress(rows, total, note),
                schema=schema,
                token=token,
            )
            work.progress(done, total, "checking foreign keys")
        engine.advance_sequences(models, manifest.counters, manifest.sequences)
        if keeps_other_files(manifest):
            referenced_files.write(connection, models, folder)
    return done


def _carry_keys(
    engine: Engine, carried: Sequence[Model], members: Sequence[tuple[RowCodec, Path | None]]
) -> list[Model]:
    """Load the referenced keys of the package into staging, for the key matching of a merge. Return
    the models that have no natural key."""
    known = members[0][0].identities
    for model in (model for model in carried if is_named(model, known)):
        columns, rows = keys_of(model, members, known)
        engine.load_keys(model._meta.db_table, columns, rows)
    return [model for model in carried if not is_named(model, known)]


def _members(manifest: Manifest, folder: Path) -> Iterator[Path | None]:
    for entry in manifest.models:
        yield folder / entry.member if entry.member else None


@contextmanager
def _constraints_explained(folder: Path, params: Mapping[str, Any]) -> Iterator[None]:
    """Raise ValidationFailed if the rows break a constraint when it is built again."""
    try:
        yield
    except IntegrityError as error:
        selected = unpacked_selection(folder, params)
        hint = referred.hint(selected) or "Keep the package; try another one."
        raise ValidationFailed(
            f"the rows break a constraint: {error}",
            obj=f"package {selected.manifest.id}",
            hint=f"Live data was not touched. {hint}",
        ) from error


def _stage_files(work: Work, manifest: Manifest, folder: Path, tree: Tree) -> int:
    alias, count, ask = tree.alias, 0, Ask(work.holds)
    for entry in entries_of(folder, manifest, alias):
        file_swap.refuse_clash(tree, entry.name)

    def report() -> None:
        work.progress(count, manifest.totals.files, f"files of storage {alias}")

    for entry in entries_of(folder, manifest, alias):
        count += 1
        ask()
        with _ProgressReader(FileIO(folder / file_member(alias, entry.name)), report) as content:
            name = file_swap.staged(work.run_id, entry.name)
            tree.write(name, cast(BinaryIO, content), access=entry.access)
    return count


class _ProgressReader(BufferedReader):
    """A file that reports progress at each read: a large file takes long, and only `progress` stops
    a step that has lost its lease."""

    def __init__(self, raw: FileIO, report: Callable[[], None]) -> None:
        super().__init__(raw)
        self._report = report

    def read(self, size: int | None = -1) -> bytes:
        self._report()
        return super().read(size)
