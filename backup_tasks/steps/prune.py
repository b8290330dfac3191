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
    """Return {"removed": [package], "expired": [run], "left_behind": [place or run]}.

    With `dry_run`, nothing is removed.
    """
    dry = bool(work.params.get("dry_run"))
    return {
        "removed": _packages(dry=dry),
        "expired": _undo_points(dry=dry),
        "left_behind": cleanup.remove_all(dry=dry),
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


def _undo_points(*, dry: bool) -> list[str]:
    """An undo point that expired, or was undone, gives its tables and files back. Not while a run
    may be bringing them back."""
    if Run.objects.exclude(live_lock=None).exists():
        return []
    engine = engine_for(backup_settings().database)
    now = timezone.now()
    # A run that may be resumed sees by its point how far it came.
    expired = UndoPoint.objects.filter(expires_at__lt=now, files_done=True).exclude(
        run__state=Run.State.FAILED, run__finished_at__gt=now - cleanup.RESUMABLE
    )
    names = [point.pk for point in expired]
    if not dry:
        for point in expired:
            if point.schema:  # of a merge, none is kept
                engine.drop(point.schema)
            for tree in project_trees():
                file_swap.forget(tree, point.pk)
            point.delete()
    return names
