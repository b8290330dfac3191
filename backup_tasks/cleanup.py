"""What runs leave behind that ended before they could tidy up: staging, files, workspaces."""

from __future__ import annotations

from datetime import timedelta
from typing import NamedTuple

from django.db.models import Q
from django.utils import timezone

from backup_tasks import ledger
from backup_tasks.backup.dump import withdraw
from backup_tasks.conf import backup_settings
from backup_tasks.engines import engine_for
from backup_tasks.models import Run, UndoPoint
from backup_tasks.restore import file_swap, undo_points
from backup_tasks.storage import workspace
from backup_tasks.storage.files import project_trees

RESUMABLE = timedelta(days=1)
"""How long what a failed run needs to be resumed is kept."""

_GIVEN_UP = (Run.State.FAILED, Run.State.CANCELLED)


class Removed(NamedTuple):
    """What was nobody's."""

    names: list[str]
    warnings: list[str]
    """What could not be removed, and why."""


def remove_orphans_of(run_id: str) -> None:
    """Remove what a run that nobody can resume has left; nothing that live or undo needs. May be
    called twice."""
    engine = engine_for(backup_settings().database)
    kept = engine.schema_name("undo", run_id)
    can_be_undone = UndoPoint.objects.filter(pk=run_id).exists()
    if not can_be_undone and engine.in_doubt(kept):
        return
    # What can't be dropped is nobody's from then on: prune says so.
    engine.discard(engine.schema_name("staging", run_id))
    if not can_be_undone:
        engine.discard(kept)
        # Only what the ledger knows not to have changed the rows: after a disaster it is a new
        # one, and the files that the runs of the old one added are live's.
        changed_nothing = Run.objects.filter(pk=run_id, state__in=_GIVEN_UP).exists()
        for tree in project_trees():
            if changed_nothing:
                file_swap.take_back_added(tree, run_id)
            file_swap.forget(tree, run_id)
    for folder in ("out", "safety"):
        withdraw(workspace.path_of(run_id) / folder)
    workspace.remove(run_id)


def remove_all(*, dry: bool) -> Removed:
    """Remove what belongs to no run that could still use it: staging, kept tables, files,
    workspaces. Return what it was; with `dry` it stays. What something outside hangs on stays too.

    What there is is listed first, and the runs after: a run is in the ledger before it makes
    anything, so whatever is listed and has no run is nobody's.
    """
    engine = engine_for(backup_settings().database)
    schemas = engine.schemas()
    with_files = {
        run_id: tree for tree in project_trees() for run_id in file_swap.runs_with_files(tree)
    }
    with_workspace = workspace.runs()
    usable = _usable_runs()
    points = dict(UndoPoint.objects.values_list("pk", "schema"))
    usable |= undo_points.runs_in_doubt(engine)
    needed = {engine.schema_name(purpose, pk) for pk in usable for purpose in ("staging", "undo")}
    left = [schema for schema in schemas if schema not in needed | set(points.values())]
    warnings: list[str] = []
    for schema in [] if dry else [*left]:
        if told := engine.discard(schema):
            warnings += told
            left.remove(schema)
    nobodys_files = with_files.keys() - usable - points.keys()
    nobodys_workspaces = with_workspace - usable
    left += [f"{with_files[run_id].alias}:{run_id}" for run_id in sorted(nobodys_files)]
    scratches = workspace.abandoned()
    left += [f"workspace:{name}" for name in sorted(nobodys_workspaces | scratches)]
    if not dry:
        for name in scratches:
            workspace.remove(name)
        for run_id in nobodys_files | nobodys_workspaces:
            remove_orphans_of(run_id)
    return Removed(names=left, warnings=warnings)


def _usable_runs() -> set[str]:
    """Return the runs that are active, or failed so lately that they may be resumed, or were
    cancelled while a step was at work that still is."""
    lately = timezone.now() - RESUMABLE
    superseded = Q(undopoint__undone_at__isnull=False)
    resumable = Q(state=Run.State.FAILED, finished_at__gt=lately) & ~superseded
    usable = set(
        Run.objects.filter(Q(state__in=Run.ACTIVE) | resumable).values_list("pk", flat=True)
    )
    cancelled = Run.objects.filter(state=Run.State.CANCELLED, finished_at__gt=lately)
    return usable | {run.pk for run in cancelled if ledger.is_at_work(run)}
