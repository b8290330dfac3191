"""What runs leave behind that ended before they could tidy up: staging, files, workspaces."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import NamedTuple

from django.db.models import Q
from django.utils import timezone

from backup_tasks import ledger
from backup_tasks.backup.publish import withdraw
from backup_tasks.conf import backup_settings
from backup_tasks.engines import engine_for
from backup_tasks.errors import AnotherRunActive, HandoverChanged
from backup_tasks.models import Run, UndoPoint
from backup_tasks.restore import file_swap, undo_points
from backup_tasks.restore.run_folder import Ask, RunFolder, held, runs_with_folder, with_folder
from backup_tasks.storage import workspace
from backup_tasks.storage.file_storages import project_trees

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
    called twice. Its files stay where another run writes to live's at the moment: the next prune
    removes them.
    """
    engine = engine_for(backup_settings().database)
    kept = engine.schema_name("undo", run_id)
    can_be_undone = UndoPoint.objects.filter(pk=run_id).exists()
    if not can_be_undone and engine.in_doubt(kept):
        return
    # What can't be dropped is nobody's from then on: prune says so.
    engine.discard(engine.schema_name("staging", run_id))
    if not can_be_undone:
        engine.discard(kept)
        _remove_files_of(run_id)
    for folder in ("out", "safety"):
        withdraw(workspace.path_of(run_id) / folder)
    workspace.remove(run_id)


def _remove_files_of(run_id: str) -> None:
    """Only what the ledger knows not to have changed the rows is taken back: after a disaster it is
    a new one, and the files that the runs of the old one added are live's."""
    changed_nothing = Run.objects.filter(pk=run_id, state__in=_GIVEN_UP).exists()
    ask = Ask(partial(undo_points.refuse_while_live_is_written, run_id))
    trees = with_folder(project_trees(), run_id)
    # HandoverChanged: another process removes them at the same time, and holds the folder now.
    with suppress(AnotherRunActive, HandoverChanged), held(trees, run_id, ask) as folders:
        for folder in folders:
            if changed_nothing:
                file_swap.take_back_added(folder)
            folder.remove()


def settle_others(run_id: str, ask: Ask) -> None:
    """Before a run that is going to change live plans what happens to its files: end what other
    runs have begun with them.

    What runs that came no further have added is taken back, and their plans, made for a live that
    is going to be another, are dropped. Whoever was stopped while it held a run's folder loses it.
    What was taken back from the last run's files by somebody who had lost it is put back.
    """
    doubtful = undo_points.runs_in_doubt(engine_for(backup_settings().database))
    replaced = set(UndoPoint.objects.values_list("pk", flat=True))
    last = UndoPoint.objects.filter(undone_at=None).order_by("-created_at").first()
    active = set(Run.objects.filter(state__in=Run.ACTIVE).values_list("pk", flat=True))
    given_up = set(Run.objects.filter(state__in=_GIVEN_UP).values_list("pk", flat=True))
    given_up -= replaced | doubtful
    for tree in project_trees():
        for other, is_held in runs_with_folder(tree).items():
            is_last = last is not None and other == last.pk and file_swap.has_staged(tree, other)
            if other in active or not (is_held or is_last or other in given_up):
                continue
            with RunFolder(tree, other, ask) as folder:
                if other in given_up:
                    file_swap.take_back_added(folder)
                    folder.drop_plan()
                elif is_last:
                    file_swap.put_back_lost(folder)


def remove_all(*, dry: bool, holds: Callable[[], None] = lambda: None) -> Removed:
    """Remove what belongs to no run that could still use it: staging, kept tables, files,
    workspaces. Return what it was; with `dry` it stays. What something outside hangs on stays too.
    `holds` raises an error when whoever called this must not go on.

    What there is is listed first, and the runs after: a run is in the ledger before it makes
    anything, so whatever is listed and has no run is nobody's.
    """
    engine = engine_for(backup_settings().database)
    schemas = engine.schemas()
    with_files = {run_id: tree for tree in project_trees() for run_id in runs_with_folder(tree)}
    with_workspace = workspace.runs()
    usable = _usable_runs()
    points = dict(UndoPoint.objects.values_list("pk", "schema"))
    usable |= undo_points.runs_in_doubt(engine)
    needed = {engine.schema_name(purpose, pk) for pk in usable for purpose in ("staging", "undo")}
    left = [schema for schema in schemas if schema not in needed | set(points.values())]
    warnings: list[str] = []
    for schema in [] if dry else [*left]:
        holds()
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
            holds()
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
