"""Finds and removes orphans: the staging, files and workspaces of runs that ended before they could
remove them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import NamedTuple

from django.db import connections
from django.db.models import Q

from backup_tasks import ledger, moments
from backup_tasks.backup import referenced_files
from backup_tasks.backup.publish import withdraw
from backup_tasks.conf import backup_settings
from backup_tasks.engines import engine_for
from backup_tasks.engines.base import PURPOSES
from backup_tasks.errors import AnotherRunActive, HandoverChanged
from backup_tasks.ledger.replaced import half_done, runs_in_doubt
from backup_tasks.models import Run, UndoPoint
from backup_tasks.package.names import in_database
from backup_tasks.restore import file_swap, further_databases, late_requests, undo_points
from backup_tasks.restore.further_databases import is_unfinished
from backup_tasks.restore.run_folder import (
    Ask,
    RunFolder,
    held_folders,
    runs_with_folder,
    with_folder,
)
from backup_tasks.rows.databases import each_database, further_alias
from backup_tasks.rows.scope import full_scope
from backup_tasks.storage import workspace
from backup_tasks.storage.file_storages import project_trees
from backup_tasks.storage.files import Tree

RESUMABLE = timedelta(days=1)
"""How long what is needed to resume a failed run is kept after it has failed."""

_NAMED = 10
_GIVEN_UP = (Run.State.FAILED, Run.State.CANCELLED)


class Removed(NamedTuple):
    """The orphans that were found, and what could not be removed."""

    names: list[str]
    warnings: list[str]
    """What could not be removed, and why."""


def remove_orphans_of(run_id: str, holds: Callable[[], None] = lambda: None) -> None:
    """Remove the orphans of a run that can't be resumed. What live or an undo needs stays.

    A second call is fine. The run's files stay while another run writes to live's files; the next
    prune removes them.
    """
    engine = engine_for(backup_settings().database)
    kept = engine.schema_name("undo", run_id)
    can_be_undone = UndoPoint.objects.filter(pk=run_id).exists()
    if not can_be_undone and engine.in_doubt(kept):
        return
    # What can't be dropped is an orphan from then on, and the next prune reports it.
    for each in each_database(backup_settings()):
        its_engine = engine_for(each.database)
        for purpose in PURPOSES:
            if purpose != "undo":
                its_engine.discard(its_engine.schema_name(purpose, run_id))
    if not can_be_undone:
        engine.discard(kept)
        _remove_files_of(run_id)
    holds()  # if the files took long, the run may be another's by now
    for folder in ("out", "safety"):
        withdraw(workspace.path_of(run_id) / folder)
    workspace.remove(run_id)


def _remove_files_of(run_id: str) -> None:
    """Take back the files that a run added only if the ledger knows that it did not change live's
    rows. After a disaster the ledger is new, and the files that runs of the old one added are
    live's."""
    changed_nothing = Run.objects.filter(pk=run_id, state__in=_GIVEN_UP).exists()
    ask = Ask(partial(undo_points.refuse_while_live_is_written, run_id))
    trees = with_folder(project_trees(), run_id)
    # HandoverChanged: another process removes them at the same time, and holds the folder now.
    with suppress(AnotherRunActive, HandoverChanged), held_folders(trees, run_id, ask) as folders:
        for folder in folders:
            if changed_nothing:
                file_swap.roll_back_added(folder)
            if late_requests.may_still_come(folder.tree, run_id):
                folder.drop_plan()
                folder.remove(folder.staged())
            else:
                folder.remove()


def settle_others(run_id: str, ask: Ask) -> list[str]:
    """End what other runs have begun with live's files. A run that changes live calls this before
    it plans what happens to them, and before it goes on with that. Return warnings.

    Files are taken back that were added by runs which then failed or were cancelled before they
    changed the rows. The plans of these runs are dropped, since live is going to change. A process
    that was stopped while it held a run's folder loses the folder. Files of the last restore that
    such a process took back are put in place again.

    If the run itself was resumed, the same happens to what it had begun: since its plan was made,
    users may have worked on.
    """
    doubtful = runs_in_doubt(engine_for(backup_settings().database))
    replaced = set(UndoPoint.objects.values_list("pk", flat=True))
    active = set(Run.objects.filter(state__in=Run.ACTIVE).values_list("pk", flat=True))
    given_up = set(Run.objects.filter(state__in=_GIVEN_UP).values_list("pk", flat=True))
    if ledger.is_just_resumed(run_id):
        active.discard(run_id)
        given_up.add(run_id)
    given_up -= replaced | doubtful
    unfinished = {*half_done()} | doubtful
    last = undo_points.last()
    warnings: list[str] = []
    for tree in project_trees():
        for other, is_held in runs_with_folder(tree).items():
            if other in active or not (is_held or other in given_up):
                continue
            with RunFolder(tree, other, ask) as folder:
                if other in given_up:
                    file_swap.roll_back_added(folder)
                    folder.drop_plan()
        if last is not None and last.pk not in active:
            warnings += _mend(tree, last, ask)
        if run_id not in replaced:
            late_requests.record_left(tree, run_id, unfinished, ask)
    return warnings


def restore_lost(ask: Callable[[UndoPoint], Ask]) -> list[str]:
    """Put back the files of live that a process took or replaced after it had lost its run.
    Return warnings. `ask` is what to ask before, for the last run. Raises what that raises."""
    last = undo_points.last()
    if last is None or not last.files_done:
        return []
    return [line for tree in project_trees() for line in _mend(tree, last, ask(last))]


def _mend(tree: Tree, last: UndoPoint, ask: Ask) -> list[str]:
    warnings = []
    if file_swap.may_have_lost(tree, last.pk):
        with RunFolder(tree, last.pk, ask) as folder:
            if names := file_swap.restore_lost(folder):
                warnings.append(
                    f"storage {tree.alias}: {len(names)} files were missing that a process had "
                    f"taken away after it had lost run {last.pk}; they are back: "
                    + ", ".join(names[:_NAMED])
                )
    late, wrong = late_requests.put_back(tree, last, ask, _is_referred)
    if late.number:
        warnings.append(
            f"storage {tree.alias}: {late.number} files had been replaced or removed by a process "
            f"that had lost its run, since {last.pk} put them in place; they are back: {late}"
        )
    if wrong.number:
        warnings.append(
            f"storage {tree.alias}: {wrong.number} files have been replaced by a process that had "
            f"lost its run, since {last.pk} put them in place, and no copy of what they were is "
            f"left: restore them again, with --type files: {wrong}"
        )
    return warnings


def _is_referred(alias: str, name: str) -> bool:
    settings = backup_settings()
    models = full_scope(settings).included
    return referenced_files.is_referred(alias, name, connections[settings.database], models)


def remove_all(*, dry: bool, holds: Callable[[], None] = lambda: None) -> Removed:
    """Remove the orphans: staging, kept tables, files and workspaces that no run can still use.
    Return their names; with `dry` nothing is removed. What other objects of the database depend on
    stays too, with a warning. `holds` raises an error when the caller must not go on.

    What there is is listed before the runs are read: a run is in the ledger before it makes
    anything, so what is listed and has no run is an orphan.
    """
    engine = engine_for(backup_settings().database)
    schemas = {
        further_alias(each): engine_for(each.database).schemas()
        for each in each_database(backup_settings())
    }
    with_files = {
        run_id: tree
        for tree in project_trees()
        for run_id in runs_with_folder(tree)
        if _is_more_than_copies(tree, run_id)
    }
    with_workspace = workspace.runs()
    usable = _usable_runs()
    points = dict(UndoPoint.objects.values_list("pk", "schema"))
    usable |= runs_in_doubt(engine)
    left: list[str] = []
    warnings: list[str] = []
    for alias, found in schemas.items():
        its_engine = engine_for(alias or engine.alias)
        needed = {its_engine.schema_name(purpose, pk) for pk in usable for purpose in PURPOSES}
        needed |= further_databases.schemas(alias) if alias else set(points.values())
        for schema in sorted(set(found) - needed):
            told = []
            if not dry:
                holds()
                told = its_engine.discard(schema)
            warnings += told
            left += [] if told else [in_database(alias, schema)]
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
            remove_orphans_of(run_id, holds)
    return Removed(names=left, warnings=warnings)


def _is_more_than_copies(tree: Tree, run_id: str) -> bool:
    """Whether a run's folder has anything but the copies that late requests may need."""
    if not late_requests.may_still_come(tree, run_id):
        return True
    folder = RunFolder(tree, run_id, Ask(lambda: None))
    return folder.has_plan or next(tree.names(folder.staged()), None) is not None


def _usable_runs() -> set[str]:
    """Return the runs that are active, or failed so lately that they may be resumed, or that have
    promoted a part of their databases, or were cancelled while a step was at work that still is."""
    lately = moments.now() - RESUMABLE
    superseded = Q(undopoint__undone_at__isnull=False)
    resumable = Q(state=Run.State.FAILED, finished_at__gt=lately) & ~superseded
    usable = set(
        Run.objects.filter(Q(state__in=Run.ACTIVE) | resumable).values_list("pk", flat=True)
    )
    cancelled = Run.objects.filter(state=Run.State.CANCELLED, finished_at__gt=lately)
    half = [each.pk for each in UndoPoint.objects.filter(undone_at=None) if is_unfinished(each)]
    return usable | {*half} | {run.pk for run in cancelled if ledger.is_at_work(run)}
