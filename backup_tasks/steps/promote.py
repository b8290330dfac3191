"""Make staging live, and keep the old live for undo."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from backup_tasks import cleanup, moments
from backup_tasks.conf import backup_settings
from backup_tasks.engines import engine_for
from backup_tasks.ledger.report import Written
from backup_tasks.models import Run, UndoPoint
from backup_tasks.package.entries import SequenceEntry
from backup_tasks.restore import (
    after_commit,
    file_swap,
    further_databases,
    publications,
    structure,
    undo_plan,
    undo_points,
    views_and_publications,
)
from backup_tasks.restore.concurrent_writes import concurrent_writes_warning, written_since_backup
from backup_tasks.restore.contents import entries_of, keeps_other_files, unpacked_manifest
from backup_tasks.restore.rehearsal import rehearse
from backup_tasks.restore.run_folder import Ask, RunFolder, held_folders
from backup_tasks.rows.natural_keys import Model
from backup_tasks.steps import Work
from backup_tasks.storage.file_storages import project_trees
from backup_tasks.storage.files import Tree


def promote(work: Work) -> dict[str, Any]:
    """Return {"promoted", "lock_seconds", "undo_until", "concurrent_writes", "warnings"}.

    New files are added before the swap, and other files are replaced or removed after it, so each
    row of live finds its file at any moment. The transaction of the swap writes the UndoPoint. It
    tells a second attempt that the rows are swapped.
    """
    settings = backup_settings()
    engine = engine_for(settings.database)
    schema = engine.schema_name("staging", work.run_id)
    point = UndoPoint.objects.filter(run_id=work.run_id).first()
    lock_seconds: float | None = None
    ask = Ask(work.may_write_files)
    settled = cleanup.settle_others(work.run_id, ask)
    trees, models, plan = _prepared(work)
    tables = sorted(model._meta.db_table for model in models)
    if point is None:
        publications.refuse_unless_asked(engine, tables, work.params)
        structure.make_like_live(engine, schema, tables, work.results, work.params)
    further = work.each_database()[1:]
    for part in further if point is None else ():
        with part.named():
            _rehearse(part)
    with held_folders(trees, work.run_id, ask) as folders:
        if point is not None:
            undo_plan.with_plan(folders, point)  # the first plan alone knows what live had
        for folder in folders:
            plan(folder)
        if point is None:
            point = UndoPoint(
                run_id=work.run_id,
                schema=engine.schema_name("undo", work.run_id),
                tables=tables,
                apps=sorted({model._meta.app_label for model in models}),
                storages=undo_plan.planned(folders),
                databases=_to_promote(work),
                expires_at=moments.now() + settings.undo_for,
            )
            lock_seconds = _swap(work, schema, point, folders)
        further_databases.promote(point, work.still_mine)
        for folder in folders:
            file_swap.replace_and_remove(folder)
        ask.now()
        UndoPoint.objects.filter(pk=point.pk).update(files_done=True)
    warnings = [*settled, *work.discard_staging()]
    warnings += after_commit.or_warning(
        "refreshing views, looking for publications",
        partial(views_and_publications.follow, engine, tables),
        [],
        warnings,
    )
    warnings += after_commit.or_warning(
        "refreshing views, looking for publications",
        partial(further_databases.to_refresh, point),
        [],
        warnings,
    )
    nothing: dict[str, Written] = {}
    written = after_commit.or_warning(
        "finding what was written since the backup",
        partial(_written_since_backup, work),
        nothing,
        warnings,
    )
    until = point.expires_at.isoformat(timespec="minutes")
    return {
        "promoted": True,
        "lock_seconds": lock_seconds,
        "undo_until": point.expires_at.isoformat(),
        "concurrent_writes": written,
        "warnings": [
            *concurrent_writes_warning(written, until, work.results.get("safety", {})),
            *warnings,
        ],
    }


def _rehearse(work: Work) -> None:
    """Raise what the promote of a further database would refuse, before the first is promoted."""
    engine = engine_for(work.settings.database)
    models = work.replaced_models()
    tables = sorted(model._meta.db_table for model in models)
    publications.refuse_unless_asked(engine, tables, work.params)
    schema = engine.schema_name("staging", work.run_id)
    structure.make_like_live(engine, schema, tables, work.results, work.params)
    rehearse(work.run_id, models, work.params, work.settings)
    engine.advance_free_sequences(schema, _sequences(work))


def _to_promote(work: Work) -> list[further_databases.Further]:
    """Return the entries of the further databases whose tables are replaced."""
    return [
        further_databases.of_staging(work.run_id, models, part.settings)
        for part in work.each_database()[1:]
        if (models := part.replaced_models())
    ]


def _written_since_backup(work: Work) -> dict[str, Written]:
    found: dict[str, Written] = {}
    for part in work.each_database():
        engine = engine_for(part.settings.database)
        kept = engine.schema_name("undo", work.run_id)
        if models := part.replaced_models():
            found |= written_since_backup(engine, kept, models, part.results, part.settings)
    return found


def _prepared(work: Work) -> tuple[list[Tree], list[Model], Callable[[RunFolder], None]]:
    """Return the storages whose files are replaced, the models whose tables are replaced, and the
    function that writes the plan of a storage's files."""
    package = work.workspace / "in"
    models = work.replaced_models()
    if work.kind == Run.Kind.REINIT:
        return project_trees(), models, lambda folder: file_swap.make_plan(folder, ())
    manifest = unpacked_manifest(package, work.params)

    def plan(folder: RunFolder) -> None:
        entries = entries_of(package, manifest, folder.tree.alias)
        keep_others = keeps_other_files(manifest)
        file_swap.make_plan(folder, entries, keep_others=keep_others)

    trees = project_trees() if manifest.files is not None else []
    return trees, models, plan


def _sequences(work: Work) -> Sequence[SequenceEntry]:
    if work.kind == Run.Kind.REINIT:
        return ()
    return work.manifest().sequences


def _swap(work: Work, schema: str, point: UndoPoint, folders: Sequence[RunFolder]) -> float:
    database = backup_settings().database
    engine = engine_for(database)

    def record() -> None:
        work.still_mine()
        undo_points.supersede_unfinished(engine, work.run_id)
        point.save(using=database, force_insert=True)

    engine.advance_free_sequences(schema, _sequences(work))  # not taken back by a failure: gaps
    with file_swap.adding_files(folders, partial(work.certainly_changed_no_rows, engine)):
        return engine.promote(
            schema, tables=point.tables, apps=point.apps, keep=point.schema, record=record
        )
