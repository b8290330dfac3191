"""Finds the files of live that a late request has replaced or removed on S3, and puts them back.

A process that is stopped right before it sends a request sends it when it goes on. S3 refuses it if
the object has changed since; but a later run, an undo for example, may have made the object what it
was (docs/explanation/concurrency.md). The runs' folders tell: what an earlier run kept is what its
late request has replaced, and the object names its writer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from heapq import merge

from backup_tasks.models import UndoPoint
from backup_tasks.restore.file_swap import Names, is_among, order, read_plan
from backup_tasks.restore.run_folder import Ask, RunFolder, runs_with_folder
from backup_tasks.storage import s3_conditions
from backup_tasks.storage.files import Tree


def put_back(tree: Tree, last: UndoPoint, ask: Ask, refers: Callable[[str, str], bool]) -> Names:
    """Put back live's files that late requests of earlier runs have replaced or removed, since the
    `last` run has put all its files in place. Return their names.

    `refers` tells whether a row refers to a file, by storage and name. A file that an undo has
    brought back and that is missing is put back only then: a user may have removed it.
    """
    found = Names()
    if tree.is_local or not last.files_done:
        return found
    there = runs_with_folder(tree)
    points = UndoPoint.objects.filter(created_at__lte=last.created_at).order_by("created_at")
    runs = points.values_list("pk", flat=True)
    folders = [RunFolder(tree, run, ask) for run in runs if run in there]
    for number, folder in enumerate(folders):
        later = folders[number + 1 :]
        for name in _replaced_again(folder, later) if later else ():
            with tree.failures(name):
                writer = s3_conditions.writer_of(tree.storage, name)
            is_missing = not writer and last.undoes == folder.run_id and not tree.exists(name)
            if writer == folder.run_id or (is_missing and refers(tree.alias, name)):
                folder.put_back(name, wanted_by=last.pk)
                found.add(name)
    return found


def _replaced_again(folder: RunFolder, later: Sequence[RunFolder]) -> Iterator[str]:
    """Yield the files that the run has kept, and that a later one has put in place: if the object
    is the earlier run's now, or is missing, that run's request came after."""
    plans = [_added_or_replaced(other) for other in later if other.has_plan]
    is_in_a_plan = is_among(merge(*plans, key=order))
    below = f"{folder.kept()}/"
    for each in folder.tree.found(folder.kept()):
        if is_in_a_plan(name := each.name.removeprefix(below)):
            yield name


def _added_or_replaced(folder: RunFolder) -> Iterator[str]:
    return (name for name, action in read_plan(folder) if action != "remove")
