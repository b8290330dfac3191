"""Finds the files of live that a late request has replaced or removed on S3, and puts them back.

A process that is stopped right before it sends a request sends it when it goes on. S3 refuses it if
the object has changed since; but a later run, an undo for example, may have made the object what it
was (docs/explanation/concurrency.md). The run folders tell:

- A run copies what it replaces or takes away before it does so. So its copies (`kept/`, `taken/`)
  name every object that a late request of it can change.
- An object of live names its writer in its metadata.
- The folders of later runs say what such an object should be: their plans, of what they changed or
  found equal to the package; and what they recorded before they planned (`record_left`), of what
  they only left as it was.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import timedelta
from heapq import merge
from itertools import groupby
from tempfile import TemporaryFile
from typing import BinaryIO, NamedTuple, cast

from backup_tasks import moments
from backup_tasks.models import Run, UndoPoint
from backup_tasks.restore.file_swap import Names, read_changes
from backup_tasks.restore.run_folder import (
    Ask,
    RunFolder,
    copies_of_others,
    order,
    runs_with_folder,
)
from backup_tasks.storage import s3_conditions
from backup_tasks.storage.files import Tree

COPIES_STAY = timedelta(days=1)
"""How long copies of what was taken back stay after the end of a run that changed no rows. Amazon
refuses a request 15 minutes after it was signed."""


class Found(NamedTuple):
    """Files of live that late requests have changed: those that were put back, and those of which
    no copy has the right content."""

    put_back: Names
    wrong: Names


class _Wanted(NamedTuple):
    """What a run has made of a file, or found. `sha256` is "" if that is not known."""

    name: str
    exists: bool
    sha256: str
    by: str


def record_left(tree: Tree, run_id: str, unfinished: Collection[str], ask: Ask) -> None:
    """Record what live has under the names that late requests of other runs may change: of those
    that ended among their files (`unfinished`), and of any that took files back.

    A run calls it before it plans: what it leaves as it is may never be compared with a package.
    """
    if tree.is_local:
        return
    with RunFolder(tree, run_id, ask) as mine, TemporaryFile() as lines:
        if mine.has_plan:
            return
        for name in copies_of_others(mine, unfinished.__contains__):
            line = {"name": name, "sha256": _sha256(tree, name)}
            lines.write(json.dumps(line).encode() + b"\n")
        if lines.tell() or mine.has_left:
            lines.seek(0)
            mine.write_left(cast(BinaryIO, lines))


def put_back(tree: Tree, last: UndoPoint, ask: Ask, refers: Callable[[str, str], bool]) -> Found:
    """Put back live's files that late requests of earlier runs have replaced or removed, since the
    `last` run has put all its files in place.

    `refers` tells whether a row refers to a file, by storage and name. A file that is missing is
    put back only then: a user may have removed it.
    """
    found = Found(Names(), Names())
    if tree.is_local or not last.files_done:
        return found
    points = UndoPoint.objects.in_bulk()
    folders = [RunFolder(tree, run, ask) for run in _until(last, runs_with_folder(tree))]
    for number, folder in enumerate(folders):
        later = [points[each.run_id] for each in folders[number + 1 :] if each.run_id in points]
        for wanted in _matching(folder.copies(), _wanted(folder, later)):
            name = wanted.name
            if not wanted.exists or not _is_late(folder, wanted, refers):
                continue
            of = points[wanted.by].undoes
            right = wanted.sha256 or (_sha256(tree, folder.of(of).kept(name)) if of else "")
            if right and right == _sha256(tree, name):
                continue
            if source := _copy(folder, name, right):
                folder.put_back(source, name, wanted_by=last.pk)
                found.put_back.add(name)
            elif tree.exists(name):
                found.wrong.add(name)
    return found


def may_still_come(tree: Tree, run_id: str) -> bool:
    """Whether the copies of what a run took back must stay, though it can't be resumed."""
    ended_after = moments.now() - COPIES_STAY
    return (
        not tree.is_local
        and Run.objects.filter(pk=run_id, finished_at__gt=ended_after).exists()
        and next(RunFolder(tree, run_id, Ask(lambda: None)).copies(kept=False), None) is not None
    )


def _until(last: UndoPoint, there: Iterable[str]) -> list[str]:
    """Return the runs with a folder that changed live before the `last` one, or took back what they
    had added, in that order; then the last."""
    changed = UndoPoint.objects.filter(pk__in=there, created_at__lte=last.created_at)
    ended = Run.objects.filter(
        pk__in=there,
        state__in=(Run.State.FAILED, Run.State.CANCELLED),
        finished_at__lte=last.created_at,
        undopoint__isnull=True,
    )
    moments_of = [
        *changed.exclude(pk=last.pk).values_list("created_at", "pk"),
        *ended.values_list("finished_at", "pk"),
    ]
    return [*(run_id for _, run_id in sorted(moments_of)), last.pk]


def _is_late(folder: RunFolder, wanted: _Wanted, refers: Callable[[str, str], bool]) -> bool:
    """Whether the object is the run's, though a later one had it; or is missing, and needed."""
    tree, name = folder.tree, wanted.name
    with tree.failures(name):
        writer = s3_conditions.writer_of(tree.storage, name)
    if writer:
        return writer == folder.run_id
    return not tree.exists(name) and refers(tree.alias, name)


def _wanted(folder: RunFolder, later: Sequence[UndoPoint]) -> Iterator[_Wanted]:
    """Yield what the last of these runs that had it has made of each file."""
    undone = set(UndoPoint.objects.exclude(undoes="").values_list("undoes", flat=True))
    records: list[Iterator[_Wanted]] = []
    for point in later:
        # The plan of a run that was superseded says little: not all of it has happened.
        is_done = point.undone_at is None or point.pk in undone
        other = folder.of(point.pk)
        records += [_left(other), _planned(other, is_done=is_done)]
    merged = merge(*records, key=_order)  # the later of two equal ones comes last
    return (list(same)[-1] for _, same in groupby(merged, key=_order))


def _order(wanted: _Wanted) -> list[bytes]:
    return order(wanted.name)


def _left(folder: RunFolder) -> Iterator[_Wanted]:
    if folder.has_left:
        with folder.open_left() as lines:
            for line in lines:
                name, sha256 = (record := json.loads(line))["name"], record["sha256"]
                yield _Wanted(name, bool(sha256), sha256, folder.run_id)


def _planned(folder: RunFolder, *, is_done: bool) -> Iterator[_Wanted]:
    for name, action, sha256 in read_changes(folder) if folder.has_plan else ():
        if is_done or action == "keep":
            yield _Wanted(name, action != "remove", sha256, folder.run_id)


def _matching(names: Iterator[str], wanted: Iterator[_Wanted]) -> Iterator[_Wanted]:
    """Yield those whose names are among the names. Both have the order of `Tree.names`."""
    there = next(wanted, None)
    for name in names:
        while there is not None and order(there.name) < order(name):
            there = next(wanted, None)
        if there is not None and there.name == name:
            yield there


def _copy(folder: RunFolder, name: str, sha256: str) -> str:
    """Return where the run has a copy of this content; "" if it has none.

    If it is not known which is right, as from the plan of an earlier version, and live has an
    object, it was the kept one's: S3 has compared it.
    """
    kept, tree = folder.kept(name), folder.tree
    if not sha256:
        return kept if tree.exists(name) and tree.exists(kept) else ""
    copies = (kept, folder.rolled_back(name))
    return next((each for each in copies if _sha256(tree, each) == sha256), "")


def _sha256(tree: Tree, name: str) -> str:
    """Return the SHA-256 of a file; "" if it is missing."""
    with suppress(FileNotFoundError):
        return tree.entry(name).sha256
    return ""
