"""Remove what has had its time: packages, kept tables and files, and what dead runs left."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Q
from django.utils import timezone

from backup_tasks import catalog, placement, workspace
from backup_tasks.conf import backup_settings
from backup_tasks.engines import Engine, engine_for
from backup_tasks.files import project_trees
from backup_tasks.models import Package, Run, UndoPoint
from backup_tasks.retention import Kept, expendable
from backup_tasks.steps import Work

_RESUMABLE = timedelta(days=1)
"""How long what a failed run needs to be resumed is kept."""


def prune(work: Work) -> dict[str, Any]:
    """Return {"removed": [package], "expired": [run], "left_behind": [place or run]}.

    With `dry_run`, nothing is removed.
    """
    dry = bool(work.params.get("dry_run"))
    return {
        "removed": _packages(dry=dry),
        "expired": _undo_points(dry=dry),
        "left_behind": _left_behind(dry=dry),
    }


def _packages(*, dry: bool) -> list[str]:
    settings = backup_settings()
    groups: dict[tuple[str, str], list[Kept]] = defaultdict(list)
    for store, sidecar in catalog.refresh():
        if sidecar.project == settings.project:
            created_at = datetime.fromisoformat(sidecar.created_at)
            groups[store, sidecar.label].append(Kept(name=sidecar.name, created_at=created_at))
    stores = dict(catalog.stores())
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
    expired = UndoPoint.objects.filter(expires_at__lt=timezone.now(), files_done=True)
    names = [point.pk for point in expired]
    if not dry:
        for point in expired:
            if point.place:  # of a merge, none is kept
                engine.drop(point.place)
            for tree in project_trees():
                placement.forget(tree, point.pk)
            point.delete()
    return names


def _left_behind(*, dry: bool) -> list[str]:
    """What belongs to no run that could still use it: staging, kept tables, files, workspaces.

    What there is is listed first, and the runs after: a run is in the ledger before it makes
    anything, so whatever is listed and has no run is nobody's.
    """
    engine = engine_for(backup_settings().database)
    places = engine.places()
    with_files = [
        (tree, run_id) for tree in project_trees() for run_id in placement.runs_with_files(tree)
    ]
    with_workspace = workspace.runs()
    usable = _usable_runs()
    points = dict(UndoPoint.objects.values_list("pk", "place"))
    usable |= _runs_in_doubt(engine, set(places).difference(points.values()))
    needed = {engine.place(purpose, pk) for pk in usable for purpose in ("staging", "undo")}
    left = [place for place in places if place not in needed | set(points.values())]
    if not dry:
        for place in left:
            engine.drop(place)
    for tree, run_id in with_files:
        if run_id not in usable and run_id not in points:
            left.append(f"{tree.alias}:{run_id}")
            if not dry:
                placement.take_back_added(tree, run_id)
                placement.forget(tree, run_id)
    for run_id in with_workspace - usable:
        left.append(f"workspace:{run_id}")
        if not dry:
            workspace.remove(run_id)
    return left


def _runs_in_doubt(engine: Engine, unrecorded: set[str]) -> set[str]:
    """Return the runs that died between the exchange of the tables and its record: live needs their
    files, and they are to be resumed, however long ago that was."""
    doubtful = {place for place in unrecorded if engine.in_doubt(place)}
    if not doubtful:
        return set()
    runs = Run.objects.values_list("pk", flat=True)
    return {pk for pk in runs if engine.place("undo", pk) in doubtful}


def _usable_runs() -> set[str]:
    """Return the runs that are active, or failed so lately that they may be resumed."""
    lately = timezone.now() - _RESUMABLE
    resumable = Q(state__in=(Run.State.FAILED, Run.State.CANCELLED), finished_at__gt=lately)
    return set(Run.objects.filter(Q(state__in=Run.ACTIVE) | resumable).values_list("pk", flat=True))
