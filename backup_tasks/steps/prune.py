"""Remove what has had its time: packages, kept tables and files, and what dead runs left."""

from __future__ import annotations

from collections import defaultdict
from contextlib import suppress
from datetime import datetime
from typing import Any

from django.utils import timezone

from backup_tasks import cleanup
from backup_tasks.conf import backup_settings
from backup_tasks.engines import engine_for
from backup_tasks.errors import AnotherRunActive
from backup_tasks.models import Package, Run, UndoPoint
from backup_tasks.restore import undo_points
from backup_tasks.restore.run_folder import Ask, held, with_folder
from backup_tasks.steps import Work
from backup_tasks.storage import catalogue
from backup_tasks.storage.files import project_trees
from backup_tasks.storage.retention import Kept, expendable


def prune(work: Work) -> dict[str, Any]:
    """Return {"removed": [package], "expired": [run], "left_behind": [place or run], "warnings"}.

    With `dry_run`, nothing is removed. What something outside hangs on is kept, with a warning.
    """
    dry = bool(work.params.get("dry_run"))
    removed = _packages(work, dry=dry)
    expired, warnings = _undo_points(work, dry=dry)
    left = cleanup.remove_all(dry=dry, holds=work.holds)
    return {
        "removed": removed,
        "expired": expired,
        "left_behind": left.names,
        "warnings": [*warnings, *left.warnings],
    }


def _packages(work: Work, *, dry: bool) -> list[str]:
    settings = backup_settings()
    groups: dict[tuple[str, str], list[Kept]] = defaultdict(list)
    for store, sidecar in catalogue.refresh():
        if sidecar.project == settings.project:
            created_at = datetime.fromisoformat(sidecar.created_at)
            groups[store, sidecar.label].append(Kept(name=sidecar.name, created_at=created_at))
    stores = dict(catalogue.stores())
    removed = []
    for (store, _), packages in sorted(groups.items()):
        for name in expendable(packages, settings.retention):
            if not dry:
                work.holds()
                stores[store].delete(name)
                Package.objects.filter(name=name).delete()
            removed.append(name)
    return removed


def _undo_points(work: Work, *, dry: bool) -> tuple[list[str], list[str]]:
    """An undo point that expired, or was undone, gives its tables and files back. Not while a run
    may be bringing them back. Returns the runs, and warnings of what could not be dropped."""
    if Run.objects.exclude(live_lock=None).exists():
        return [], []
    now = timezone.now()
    # A run that may be resumed sees by its point how far it came.
    expired = UndoPoint.objects.filter(expires_at__lt=now, files_done=True).exclude(
        run__state=Run.State.FAILED, run__finished_at__gt=now - cleanup.RESUMABLE
    )
    if dry:
        return [point.pk for point in expired], []
    names, warnings = [], []
    with suppress(AnotherRunActive):
        for point in expired:
            if told := _give_back(work, point):
                warnings += told
            else:
                names.append(point.pk)
    return names, warnings


def _give_back(work: Work, point: UndoPoint) -> list[str]:
    """Return why its tables could not be dropped; then it stays.

    Raises AnotherRunActive if a run has begun that may want it.
    """

    def may() -> None:
        work.holds()
        undo_points.refuse_while_live_is_written(point.pk)

    ask = Ask(may)
    ask.now()
    # Of a merge, no place is kept.
    if point.schema and (told := engine_for(backup_settings().database).discard(point.schema)):
        return told
    with held(with_folder(project_trees(), point.pk), point.pk, ask) as folders:
        for folder in folders:
            folder.remove()
    ask.now()
    point.delete()
    return []
