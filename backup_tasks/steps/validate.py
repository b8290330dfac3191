"""Read staging back, and compare it with the manifest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

from django.db import connections, transaction
from django.utils.module_loading import import_string

from backup_tasks.conf import BackupSettings
from backup_tasks.engines import Engine, engine_for
from backup_tasks.errors import ValidationFailed
from backup_tasks.models import Run
from backup_tasks.package.entries import ModelEntry
from backup_tasks.package.manifest import Manifest
from backup_tasks.restore import (
    migration_compatibility,
    recorded_verdicts,
    referred,
    structure,
)
from backup_tasks.restore.contents import (
    codecs_of,
    entries_of,
    unpacked_selection,
)
from backup_tasks.restore.file_swap import staged
from backup_tasks.rows import second_look
from backup_tasks.rows.dump import Dumped, count_rows
from backup_tasks.rows.integrity import dangling, taken_over
from backup_tasks.rows.parallel_dump import DumpedModel, Job, dump_all
from backup_tasks.rows.scope import full_scope, label, refers_to
from backup_tasks.steps import Work, in_each_database
from backup_tasks.storage.file_storages import project_trees

_NAMED = 3
"""How many examples of a problem a message names."""


@recorded_verdicts.records_verdict("restore", proves=True)
@in_each_database
def validate(work: Work) -> dict[str, Any]:
    """Return {"counts": {model: rows}, "digests_equal": {model: bool}, "second_look", "files",
    "files_equal", "like_live", "warnings"}; `second_look`: how many models' own sums of the
    database are equal, and which models could not be compared; `like_live`: whether staging has the
    structure of live.

    Staging is read with the code that dumps live. Raises ValidationFailed, which names each model
    that differs with both figures, each dangling reference, each file, and what the project's
    checks say. A package of older migrations is validated at those, and then migrated forward; a
    clone of live's tables takes its rows over.
    """
    settings = work.settings
    engine = engine_for(settings.database)
    schema = structure.loaded_schema(work.results)
    like_live = structure.is_like_live(work.results)
    warnings: list[str] = []
    hint = "Keep the package; try another one."
    with engine.at(schema):
        if work.kind == Run.Kind.REINIT:
            counts, problems = _validate_defaults(settings)
            problems += _project_checks(settings)
            equal: dict[str, bool] = {}
            look = None
            files: int | None = 0
        else:
            folder = work.workspace / "in"
            manifest = work.manifest()
            selected = replace(unpacked_selection(folder, work.params), manifest=manifest)
            reads = _read_rows(work, manifest, engine, schema)
            counts, equal, problems = _compared(manifest, reads, settings)
            look, unlike = _second_look(manifest, reads)
            files, lost = _validate_files(work, manifest, folder)
            problems += [*unlike, *lost]
            since = migration_compatibility.missing_migrations(manifest)
            like_live = like_live and not since
            if since and not problems:
                work.progress(0, len(since), "migrating forward")
                migration_compatibility.migrate_forward(settings)
            if manifest.models:
                problems += _project_checks(settings)
            if work.params.get("mode") != "merge":
                with transaction.atomic(using=settings.database):
                    warnings += referred.unproven(selected, connections[settings.database])
                hint = referred.hint(selected) or hint
    if work.kind == Run.Kind.RESTORE and work.params.get("mode") != "merge":
        problems += _taken_over(work, engine, schema)
    if problems:
        raise ValidationFailed(
            "; ".join(problems),
            obj=f"run {work.run_id}",
            hint=f"Live data was not touched. {hint}",
        )
    taken_over = schema != engine.schema_name("staging", work.run_id)
    warnings += _take_over(work, engine, schema) if taken_over else _lost(work, engine, schema)
    return {
        "counts": counts,
        "digests_equal": equal,
        "second_look": look,
        "files": files,
        "files_equal": None if files is None else True,
        "like_live": like_live or taken_over,
        "warnings": warnings,
    }


def _take_over(work: Work, engine: Engine, schema: str) -> list[str]:
    """Give staging the structure of live, and the rows that were loaded elsewhere."""
    work.progress(0, None, "taking over the structure of live")
    return structure.take_over(
        engine,
        schema,
        engine.schema_name("staging", work.run_id),
        tables=structure.all_tables(connections[engine.alias]),
        models=full_scope(work.settings).included,
    )


def _lost(work: Work, engine: Engine, schema: str) -> list[str]:
    if work.params.get("rebuild"):
        return structure.lost_by_rebuild(engine, schema, work.settings)
    return []


def _read_rows(work: Work, manifest: Manifest, engine: Engine, schema: str) -> list[DumpedModel]:
    settings = work.settings
    connection = connections[settings.database]
    migration_compatibility.refuse_migrated_forward(manifest, settings)
    codecs = codecs_of(manifest, migration_compatibility.apps_of(manifest, settings), connection)
    with transaction.atomic(using=connection.alias):
        return dump_all(
            engine,
            [Job(codec=codec) for codec in codecs],
            lambda rows, note: work.progress(rows, manifest.totals.rows, note),
            schema=schema,
        )


def _compared(
    manifest: Manifest, reads: Sequence[DumpedModel], settings: BackupSettings
) -> tuple[dict[str, int], dict[str, bool], list[str]]:
    vendor = connections[settings.database].vendor
    same_vendor = manifest.database.get("vendor") == vendor
    counts: dict[str, int] = {}
    equal: dict[str, bool] = {}
    problems: list[str] = []
    for entry, read in zip(manifest.models, reads, strict=True):
        found = list(_differences(entry, read.dumped, exactly=same_vendor))
        counts[entry.label], equal[entry.label] = read.dumped.count, not found
        problems += found
        if read.dangling != entry.dangling:
            problems.append(
                f"{entry.label}: references that lead nowhere, by field: "
                f"{dict(read.dangling) or 'none'}; in the package: {dict(entry.dangling) or 'none'}"
            )
    return counts, equal, problems


def _second_look(
    manifest: Manifest, reads: Sequence[DumpedModel]
) -> tuple[dict[str, Any] | None, list[str]]:
    """Compare the database's own sums with the manifest's. None if it has none to compare."""
    equal = 0
    others: list[str] = []
    problems: list[str] = []
    for entry, read in zip(manifest.models, reads, strict=True):
        if not (before := manifest.sums.get(entry.label)):
            continue
        unequal = second_look.unequal(before, read.sums)
        if unequal is None:
            others.append(entry.label)
        elif unequal:
            problems.append(
                f"{entry.label}: the database's own sums over table {entry.table} are not those of "
                f"the backup: {', '.join(unequal)}"
            )
        else:
            equal += 1
    look = {"equal": equal, "not_compared": others}
    return look if equal or others else None, problems


def _taken_over(work: Work, engine: Engine, schema: str) -> Iterator[str]:
    """For a partial package: yield rows that would get the primary key of another row to which
    live's other tables refer."""
    settings = work.settings
    manifest = work.manifest()
    if manifest.type != "partial":
        return
    entries = {entry.label: entry for entry in manifest.models}
    rest = [model for model in full_scope(settings).included if label(model) not in entries]
    with engine.snapshot():
        live = connections[settings.database]
        with engine.at(schema):
            for target in dict.fromkeys(target for model in rest for target in refers_to(model)):
                entry = entries.get(label(target))
                if entry is None or not entry.natural_key:
                    continue
                here = connections[settings.database]
                found = list(islice(taken_over(live, here, target, entry.natural_key), _NAMED))
                if found:
                    users = ", ".join(label(model) for model in rest if target in refers_to(model))
                    yield f"{entry.label}: {'; '.join(found)}; live's rows of {users} refer to them"


def _differences(entry: ModelEntry, read: Dumped, *, exactly: bool) -> Iterator[str]:
    if read.count != entry.count:
        yield f"{entry.label}: {entry.count} expected, {read.count} restored"
    elif read.digest != entry.digest:
        yield f"{entry.label}: {entry.count} expected, {read.count} restored, with other content"
    elif exactly and read.exact != entry.exact:
        yield f"{entry.label}: {entry.count} restored, with other primary keys or stored values"


def _validate_files(work: Work, manifest: Manifest, folder: Path) -> tuple[int | None, list[str]]:
    if manifest.files is None:
        return None, []
    count = 0
    problems = []
    for tree in project_trees():
        for entry in entries_of(folder, manifest, tree.alias):
            work.progress(count, manifest.totals.files, f"files of storage {tree.alias}")
            read = tree.entry(staged(work.run_id, entry.name))
            if (read.size, read.sha256) == (entry.size, entry.sha256):
                count += 1
            else:
                problems.append(
                    f"file {entry.name}: {entry.size} bytes with SHA-256 {entry.sha256} expected, "
                    f"{read.size} bytes with {read.sha256} restored"
                )
    return count, problems


def _validate_defaults(settings: BackupSettings) -> tuple[dict[str, int], list[str]]:
    """Count the rows of a reset, and find dangling references. It has no package."""
    connection = connections[settings.database]
    counts, problems = {}, []
    for model in full_scope(settings).included:
        counts[label(model)] = count_rows(connection, model._meta.db_table)
        if lost := dangling(connection, model):
            problems.append(f"{label(model)}: references of the defaults lead nowhere: {lost}")
    return counts, problems


def _project_checks(settings: BackupSettings) -> list[str]:
    problems: list[str] = []
    for path in settings.checks:
        found: Sequence[str] = import_string(path)(settings.database)
        problems += [f"{path}: {problem}" for problem in found]
    return problems
