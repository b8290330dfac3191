"""Remove what has had its time: packages, kept tables and files, and what dead runs left."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime
from typing import Any

from django.utils import timezone

from backup_tasks import cleanup
from backup_tasks.conf import backup_settings
from backup_tasks.engines import engine_for
from backup_tasks.models import Package, Run, UndoPoint
from backup_tasks.restore import file_swap
from backup_tasks.steps import Work
from backup_tasks.storage import catalogue
from backup_tasks.storage.files import project_trees
from backup_tasks.storage.retention import Kept, expendable


def prune(work: Work) -> dict[str, Any]:
    """Return {"removed": [package], "expired": [run], "left_behind": [place or run], "warnings"}.

    With `dry_run`, nothing is removed. What something outside hangs on is kept, with a warning.
    """
    dry = bool(work.params.get("dry_run"))
    removed = _packages(dry=dry)
    expired, warnings = _undo_points(dry=dry)
    left = cleanup.remove_all(dry=dry)
    return {
        "removed": removed,
        "expired": expired,
        "left_behind": left.names,
        "warnings": [*warnings, *left.warnings],
    }


def _packages(*, dry: bool) -> list[str]:
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
                stores[store].delete(name)
                Package.objects.filter(name=name).delete()
            removed.append(name)
    return removed


def _undo_points(*, dry: bool) -> tuple[list[str], list[str]]:
    """An undo point that expired, or was undone, gives its tables and files back. Not while a run
    may be bringing them back. Returns the runs, and warnings of what could not be dropped."""
    if Run.objects.exclude(live_lock=None).exists():
        return [], []
    engine = engine_for(backup_settings().database)
    now = timezone.now()
    # A run that may be resumed sees by its point how far it came.
    expired = UndoPoint.objects.filter(expires_at__lt=now, files_done=True).exclude(
        run__state=Run.State.FAILED, run__finished_at__gt=now - cleanup.RESUMABLE
    )
    names, warnings = [], []
    for point in expired:
        # Of a merge, no place is kept.
        if not dry and point.schema and (told := engine.discard(point.schema)):
            warnings += told
            continue
        names.append(point.run_id)
        if not dry:
            for tree in project_trees():
                file_swap.forget(tree, point.pk)
            point.delete()
    return names, warnings
