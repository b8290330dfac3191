"""Bring back what the last promote replaced."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from backup_tasks import cleanup, moments
from backup_tasks.conf import backup_settings
from backup_tasks.engines import Engine, engine_for
from backup_tasks.errors import DoesNotFit, NothingToUndo
from backup_tasks.ledger.replaced import runs_in_doubt
from backup_tasks.models import UndoPoint
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
from backup_tasks.restore.run_folder import Ask, RunFolder, held_folders, with_folder
from backup_tasks.steps import Work
from backup_tasks.storage.file_storages import project_trees
from backup_tasks.storage.files import Tree


def undo(work: Work) -> dict[str, Any]:
    """Return {"undone": run, "lock_seconds": …, "warnings"}.

    An undo promotes the kept tables and files, and writes an UndoPoint, so it can be undone too.
    Raises NothingToUndo; HandoverChanged if files that were kept are gone; DoesNotFit if the
    structure of live's tables has changed.
    """
    settings = backup_settings()
    engine = engine_for(settings.database)
    trees = project_trees()
    mine = UndoPoint.objects.filter(run_id=work.run_id).first()
    undone = _last(work, engine) if mine is None else _undone_by(work)
    lock_seconds: float | None = None
    ask = Ask(work.may_write_files)
    warnings = cleanup.settle_others(work.run_id, ask)
    if mine is None:
        further_databases.settle(undone, work.still_mine)
        _finish_files(undone, trees, ask)
    with held_folders(trees, work.run_id, ask) as folders:
        if mine is None:
            publications.refuse_unless_asked(engine, undone.tables, work.params)
            warnings += _lost_structure(work, engine, undone, undone.schema, undone.tables)
            mine = UndoPoint(
                run_id=work.run_id,
                schema=engine.schema_name("undo", work.run_id),
                tables=undone.tables,
                apps=undone.apps,
                databases=further_databases.of_undo(work.run_id, undone, work.params),
                expires_at=moments.now() + settings.undo_for,
            )
            for entry in further_databases.of(mine):
                its_engine, source = engine_for(entry["alias"]), entry["source"]
                warnings += _lost_structure(work, its_engine, undone, source, entry["tables"])
            accept = bool(work.params.get("accept_missing_files"))
            warnings += undo_plan.plan(folders, undone, ask, accept_missing=accept)
            mine.storages = undo_plan.planned(folders)
            lock_seconds = _swap(work, undone, mine, folders)
        further_databases.promote(mine, work.still_mine)
        for folder in undo_plan.with_plan(folders, mine):
            file_swap.replace_and_remove(folder)
        ask.now()
        UndoPoint.objects.filter(pk=mine.pk).update(files_done=True)
    warnings += after_commit.or_warning(
        "removing what was undone", partial(_remove, undone, engine, trees, ask), [], warnings
    )
    warnings += after_commit.or_warning(
        "refreshing views, looking for publications",
        partial(views_and_publications.follow, engine, undone.tables),
        [],
        warnings,
    )
    warnings += after_commit.or_warning(
        "refreshing views, looking for publications",
        partial(further_databases.to_refresh, mine),
        [],
        warnings,
    )
    return {"undone": undone.pk, "lock_seconds": lock_seconds, "warnings": warnings}


def _remove(undone: UndoPoint, engine: Engine, trees: Sequence[Tree], ask: Ask) -> list[str]:
    """Remove the undone run's tables and files. Return why tables could not be dropped.

    Where a folder is no fence, its files stay until the undo point expires: a late request of the
    undone run may still come, and `restore.late_requests` needs them.
    """
    # Staging is there if the run ended before it could drop it.
    staging = engine.schema_name("staging", undone.pk)
    left = [line for name in (undone.schema, staging) for line in engine.discard(name)]
    left += further_databases.discard(undone)
    fenced = [tree for tree in trees if tree.is_local]
    with held_folders(with_folder(fenced, undone.pk), undone.pk, ask) as folders:
        for folder in folders:
            folder.remove()
    return left


def _last(work: Work, engine: Engine) -> UndoPoint:
    if in_doubt := runs_in_doubt(engine) - {work.run_id}:
        raise _unfinished(min(in_doubt))
    point = undo_points.last()
    if point is None:
        raise NothingToUndo(
            "no promote can be undone: none happened, or its old tables have expired",
            obj=work.run_id,
            hint="Restore a package instead; list_packages shows safety packages too.",
        )
    if not point.schema:
        safety = point.run.steps.filter(name="safety").values_list("result__package", flat=True)
        name = safety.first()
        raise NothingToUndo(
            "the last change was a merge, of which nothing was kept to swap back",
            obj=point.pk,
            hint=f"Restore the safety package from before it: restore_from_package {name} --confirm"
            if name
            else "It was made without a safety backup. Restore another package.",
        )
    if not (point.files_done or further_databases.is_unfinished(point)):
        raise _unfinished(point.pk)
    return point


def _finish_files(undone: UndoPoint, trees: Sequence[Tree], ask: Ask) -> None:
    """Let a run that could not promote all of its databases put all files in place, so that they
    can be undone like those of any other."""
    if undone.files_done:
        return
    with held_folders(with_folder(trees, undone.pk), undone.pk, ask) as folders:
        for folder in undo_plan.with_plan(folders, undone):
            file_swap.replace_and_remove(folder)
        ask.now()
        UndoPoint.objects.filter(pk=undone.pk).update(files_done=True)


def _unfinished(run_id: str) -> NothingToUndo:
    return NothingToUndo(
        "its promote has not put all files in place yet",
        obj=run_id,
        hint=f"Finish it first: resume_run {run_id}",
    )


def _undone_by(work: Work) -> UndoPoint:
    return UndoPoint.objects.get(pk=UndoPoint.objects.get(pk=work.run_id).undoes)


def _lost_structure(
    work: Work, engine: Engine, undone: UndoPoint, schema: str, tables: Sequence[str]
) -> list[str]:
    """Return a warning of what the undo takes away from one database. Raises DoesNotFit unless that
    was asked for."""
    changed = engine.structure_changes(schema, tables)
    if not changed:
        return []
    what = f"the structure of live's tables has changed since {undone.pk}"
    if not work.params.get("accept_lost_structure"):
        raise DoesNotFit(
            f"{what}, and an undo would bring the old one back: {structure.listed(changed)}",
            obj=undone.pk,
            hint="Live was not changed. With --accept-lost-structure the undo goes on; make anew "
            "what you need afterwards.",
        )
    return [f"{what}, and the undo has brought the old one back: {structure.listed(changed)}"]


def _swap(work: Work, undone: UndoPoint, mine: UndoPoint, folders: Sequence[RunFolder]) -> float:
    database = backup_settings().database
    engine = engine_for(database)

    def record() -> None:
        work.still_mine()
        undo_points.supersede_unfinished(engine, work.run_id)
        mine.undoes = undone.pk
        mine.save(using=database, force_insert=True)
        UndoPoint.objects.filter(pk=undone.pk).update(undone_at=moments.now())

    if work.params.get("accept_lost_structure"):
        engine.accept_structure(undone.schema)
        for entry in further_databases.of(mine):
            engine_for(entry["alias"]).accept_structure(entry["source"])
    certain = partial(work.certainly_changed_no_rows, engine)
    with file_swap.adding_files(undo_plan.with_plan(folders, mine), certain):
        return engine.promote(
            undone.schema, tables=undone.tables, apps=undone.apps, keep=mine.schema, record=record
        )
