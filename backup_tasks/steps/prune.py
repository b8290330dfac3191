"""Remove expired packages and undo points, and orphans."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import Any

from backup_tasks import cleanup, moments
from backup_tasks.conf import backup_settings
from backup_tasks.engines import engine_for
from backup_tasks.errors import AnotherRunActive, StorageRefused, StorageUnavailable
from backup_tasks.evidence import audit
from backup_tasks.models import Run, UndoPoint
from backup_tasks.restore import further_databases, undo_points
from backup_tasks.restore.run_folder import Ask, held_folders, with_folder
from backup_tasks.steps import Work
from backup_tasks.storage import expiry
from backup_tasks.storage.backup_disks import free_space
from backup_tasks.storage.file_storages import project_trees
from backup_tasks.storage.last_good import Candidate


def prune(work: Work) -> dict[str, Any]:
    """Return {"removed", "packages", "warnings", "expired": [run], "left_behind": [schema or run],
    "free": bytes by disk}; the first two are those of `expiry.expire`.

    With `dry_run`, nothing is removed. A schema that other objects depend on is kept, with a
    warning.
    """
    dry = bool(work.params.get("dry_run"))
    packages = _packages(work, dry=dry)
    warnings: list[str] = []
    if not dry:
        with suppress(AnotherRunActive):  # before what it may need expires
            warnings += cleanup.restore_lost(partial(_ask, work))
    expired, told = _undo_points(work, dry=dry)
    warnings += told
    left = cleanup.remove_all(dry=dry, holds=work.holds)
    return {
        **packages,
        "expired": expired,
        "left_behind": left.names,
        "free": free_space(),
        "warnings": [*packages["warnings"], *warnings, *left.warnings],
    }


def _packages(work: Work, *, dry: bool) -> dict[str, Any]:
    """Return what `expiry.expire` returns. A store that can't be reached is a warning of a backup:
    its package has been made and verified, and may lie elsewhere."""
    try:
        return expiry.expire(
            run_id=work.run_id,
            dry=dry,
            still_mine=work.still_mine,
            deleting=partial(_write_down, work.run_id),
        )
    except (StorageUnavailable, StorageRefused) as error:
        if work.kind != Run.Kind.BACKUP:
            raise
        return {"removed": [], "packages": [], "warnings": [f"no package was removed: {error}"]}


def _write_down(run_id: str, package: Candidate) -> None:
    details = {"run": run_id, "store": package.store, "sha256": package.sha256}
    audit.record("deleted", package.name, through="run", details=details)


def _undo_points(work: Work, *, dry: bool) -> tuple[list[str], list[str]]:
    """Remove the tables and files of undo points that have expired or are undone. Nothing is
    removed while a run that may need them is active. Returns the runs, and warnings of what could
    not be dropped."""
    if Run.objects.exclude(live_lock=None).exists():
        return [], []
    now = moments.now()
    # A run that can be resumed needs its undo point: it shows what is done.
    expired = UndoPoint.objects.filter(expires_at__lt=now, files_done=True).exclude(
        run__state=Run.State.FAILED, run__finished_at__gt=now - cleanup.RESUMABLE
    )
    # So does one that has promoted a part of its databases, however long ago.
    gone = [
        point for point in expired if point.undone_at or not further_databases.is_unfinished(point)
    ]
    if dry:
        return [point.pk for point in gone], []
    names, warnings = [], []
    with suppress(AnotherRunActive):
        for point in gone:
            run_id = point.pk
            if told := _remove_kept(work, point):
                warnings += told
            else:
                names.append(run_id)
    return names, warnings


def _ask(work: Work, point: UndoPoint) -> Ask:
    """Ask whether this attempt holds the step, and whether a run has begun that may need the undo
    point (AnotherRunActive)."""

    def may() -> None:
        work.holds()
        undo_points.refuse_while_live_is_written(point.pk)

    return Ask(may)


def _remove_kept(work: Work, point: UndoPoint) -> list[str]:
    """Remove the tables, the files and the undo point. If the tables can't be dropped, return why,
    and keep it.

    Raises AnotherRunActive if a run has begun that may need it.
    """
    ask = _ask(work, point)
    ask.now()
    # A merge keeps no schema.
    told = engine_for(backup_settings().database).discard(point.schema) if point.schema else []
    if told := [*told, *further_databases.discard(point)]:
        return told
    with held_folders(with_folder(project_trees(), point.pk), point.pk, ask) as folders:
        for folder in folders:
            folder.remove()
    ask.now()
    point.delete()
    return []
