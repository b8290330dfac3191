"""The file swap: replaces live's files, so that each row of live finds its file at any moment.

Each storage is handled by itself, through the run folder in it (`run_folder.RunFolder`). The plan
in it says what happens to each name: lines of {"name": …, "action": "add" | "replace" | "remove",
"sha256": …}. The last is there if the new content is a package's. On S3 there are lines with "keep"
too: nothing happens to the file, but a late request may change it (`restore.late_requests`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from tempfile import TemporaryFile
from typing import Any, BinaryIO, Literal, NamedTuple, cast

from django.db import DatabaseError, InterfaceError

from backup_tasks.errors import BackupError, DoesNotFit, HandoverChanged
from backup_tasks.printable import printable
from backup_tasks.restore.run_folder import (
    RunFolder,
    copies_of_others,
    order,
    released_name,
)
from backup_tasks.storage.files import Entry, Tree

_NAMED = 10
ACCEPT_MISSING = (
    "Live was not changed. With --accept-missing-files the undo goes on: these files stay as they "
    "are, rows and all other files are brought back. To have the files too, restore the safety "
    "package from before that run: list_packages."
)
Action = Literal["add", "replace", "remove", "keep"]


class Change(NamedTuple):
    """What a plan says of one name. `sha256` is that of the new content; "" if it is not known."""

    name: str
    action: Action
    sha256: str = ""


class Names:
    """Names of files: how many, and some of them, so that memory stays flat."""

    def __init__(self) -> None:
        self.number = 0
        self._first: list[str] = []

    def add(self, name: str) -> None:
        """Count one more."""
        self.number += 1
        if self.number <= _NAMED:
            self._first.append(printable(name))

    def __str__(self) -> str:
        more = f" and {self.number - _NAMED} more" if self.number > _NAMED else ""
        return ", ".join(self._first) + more


def staged(run_id: str, name: str = "") -> str:
    """Return the name under which a run stages a file, while nobody holds its folder."""
    return f"{released_name(run_id)}/staging/{name}".rstrip("/")


def may_have_lost(tree: Tree, run_id: str) -> bool:
    """Whether a run whose folder nobody holds has a file that `restore_lost` may restore."""
    folders = (staged(run_id), f"{released_name(run_id)}/taken")
    return any(next(tree.names(folder), None) for folder in folders)


def make_plan(folder: RunFolder, wanted: Iterable[Entry], *, keep_others: bool = False) -> None:
    """Write the plan after which the storage has the wanted files, which are staged. Other files
    are removed unless `keep_others`.

    `wanted` has the order of `Tree.names`. An existing plan is kept: after a crash, the storage is
    between the two states, and only the first plan knows the old one. Raises DoesNotFit if a file
    has the name of a folder in the storage, or the other way round.
    """
    if folder.has_plan:
        return
    plan = _compare(folder, wanted)
    if keep_others:
        plan = (change for change in plan if change.action != "remove")
    _write_plan(folder, plan)


def make_merge_plan(folder: RunFolder, wanted: Iterable[Entry], *, replace: bool) -> dict[str, Any]:
    """Write the plan after which the storage has the wanted files too, which are staged.

    With `replace`, a staged file replaces live's file of that name. An existing plan is kept.
    Returns {"add", "replace", "kept": number, "conflicts": [some printable names]}.
    """
    counts: dict[str, Any] = {"add": 0, "replace": 0, "kept": 0, "conflicts": []}

    def steps() -> Iterator[Change]:
        for change in _compare(folder, wanted):
            name, action, _ = change
            if action == "replace" and len(counts["conflicts"]) < _NAMED:
                counts["conflicts"].append(printable(name))
            if action == "add" or (action == "replace" and replace):
                counts[action] += 1
                yield change
            elif action == "replace":
                counts["kept"] += 1
            elif action == "keep":
                yield change

    if folder.has_plan:
        for name, action in read_plan(folder):
            counts[action] += 1
            if action == "replace" and len(counts["conflicts"]) < _NAMED:
                counts["conflicts"].append(printable(name))
    else:
        _write_plan(folder, steps())
    return counts


def make_undo_plan(folder: RunFolder, undone: RunFolder, *, accept_missing: bool = False) -> Names:
    """Write the plan that reverses the plan of another run, and stage the files that it kept.

    An existing plan is kept. Raises HandoverChanged if a kept file is gone; with `accept_missing`
    live's file of that name stays as it is. Returns the names of these files.
    """
    missing = Names()
    if folder.has_plan or not undone.has_plan:
        return missing
    opposite: dict[Action, Action] = {"add": "remove", "remove": "add", "replace": "replace"}

    def steps() -> Iterator[Change]:
        for name, action in read_plan(undone):
            if action != "add":
                if not folder.tree.exists(undone.kept(name)):
                    missing.add(name)
                    continue
                folder.stage_kept_of(undone, name)
            yield Change(name, opposite[action])

    with _plan_of(steps()) as lines:
        if missing.number and not accept_missing:
            raise HandoverChanged(
                f"what {undone.run_id} kept of it is gone: {missing}",
                obj=f"storage {folder.tree.alias}",
                hint=ACCEPT_MISSING,
            )
        folder.write_plan(lines)
    return missing


def refuse_clash(tree: Tree, name: str) -> None:
    """Raise DoesNotFit if a file of live must be removed before a file of that name can be added:
    in between, a row would miss its file."""
    if other := tree.in_the_way(name):
        raise DoesNotFit(
            f"the package has the file {name}, live has {other}: one name can't be a file and a "
            "folder",
            obj=f"storage {tree.alias}: {name}",
            hint=f"Live was not touched. Move {other} away (its rows too), or say --type database.",
        )


@contextmanager
def adding_files(folders: Sequence[RunFolder], certain: Callable[[], None]) -> Iterator[None]:
    """Add the files that live lacks, before the rows change inside.

    Raises HandoverChanged if a staged file is gone. After an error they are rolled back, but only
    if `certain` raises none: the rows did not change, and this attempt still holds the step.
    Otherwise they stay for the next attempt.
    """
    try:
        for folder in folders:
            for name, action in read_plan(folder):
                if action == "add" and folder.tree.exists(folder.staged(name)):
                    folder.move_to_live(name)
                elif action == "add" and not folder.tree.exists(name):
                    raise _lost(folder, name)
        for folder in folders:
            _refuse_lost(folder)
        yield
    except Exception:
        if _raises_nothing(certain):
            for folder in folders:
                roll_back_added(folder)
        raise


def _refuse_lost(folder: RunFolder) -> None:
    """Raise HandoverChanged if a file that is to replace another is not staged any more."""
    tree = folder.tree
    # Elsewhere a question for each file would be a request for each.
    is_staged = (
        tree.exists
        if tree.is_local
        else is_among(each.name for each in tree.found(folder.staged()))
    )
    for name, action in read_plan(folder):
        if action != "replace" or is_staged(folder.staged(name)):
            continue
        if not tree.exists(folder.kept(name)):  # else an earlier attempt has replaced it
            raise _lost(folder, name)


def _lost(folder: RunFolder, name: str) -> HandoverChanged:
    return HandoverChanged(
        "the file was staged, and is gone",
        obj=f"storage {folder.tree.alias}: {name}",
        hint="Something else removed it. Live's rows were not changed. Start a new run.",
    )


def is_among(names: Iterator[str]) -> Callable[[str], bool]:
    """Return what tells whether a name is among these. They, and the questions, have the order of
    `Tree.names`."""
    there = next(names, None)

    def answer(name: str) -> bool:
        nonlocal there
        while there is not None and order(there) < order(name):
            there = next(names, None)
        return there == name

    return answer


def _raises_nothing(question: Callable[[], None]) -> bool:
    try:
        question()
    except (BackupError, DatabaseError, InterfaceError):
        return False
    return True


def roll_back_added(folder: RunFolder) -> None:
    """Move the added files back to staging, because the run did not change the rows."""
    if folder.has_plan:
        tree = folder.tree
        for name, action in read_plan(folder):
            if action != "add" or not tree.exists(name):
                continue
            if not tree.exists(folder.staged(name)) or folder.has_copy_of(name):
                folder.roll_back(name)


def replace_and_remove(folder: RunFolder) -> None:
    """Replace and remove files after the rows have changed, and keep the old ones for an undo.
    Staged files that live already has are deleted."""
    tree = folder.tree
    for name, action in read_plan(folder):
        if action == "replace" and tree.exists(folder.staged(name)):
            if not tree.exists(folder.kept(name)) and tree.exists(name):
                folder.keep(name)
            folder.move_to_live(name)
        elif action == "replace" and not tree.exists(folder.kept(name)):
            raise _neither(folder, name)  # what is in place is kept before it is replaced
        elif action == "remove" and tree.exists(name):
            folder.move_from_live(name)
        elif action == "add" and tree.exists(folder.staged(name)) and not tree.exists(name):
            folder.move_to_live(name)  # a process without the lease rolled it back
        elif not tree.exists(name) and action != "remove":
            raise _neither(folder, name)
    folder.remove(folder.staged())


def _neither(folder: RunFolder, name: str) -> HandoverChanged:
    return HandoverChanged(
        "the file is neither staged nor in place",
        obj=f"storage {folder.tree.alias}: {name}",
        hint="Something else removed it. Restore the files again with --type files.",
    )


def restore_lost(folder: RunFolder) -> list[str]:
    """Restore files of the run that replaced live last, which a process rolled back after it had
    lost the lease. Return their names."""
    if not folder.has_plan:
        return []
    return [
        name
        for name, action in read_plan(folder)
        if action != "remove" and folder.restore_lost(name)
    ]


def _compare(folder: RunFolder, wanted: Iterable[Entry]) -> Iterator[Change]:
    """Yield the differences. Both sides are streamed, so that memory stays flat."""
    tree = folder.tree
    present = tree.names()
    may_change = is_among(copies_of_others(folder))
    there = next(present, None)
    for entry in wanted:
        while there is not None and order(there) < order(entry.name):
            yield Change(there, "remove")
            there = next(present, None)
        if there != entry.name:
            refuse_clash(tree, entry.name)
            yield Change(entry.name, "add", entry.sha256)
            continue
        if tree.storage.size(there) != entry.size or tree.entry(there) != entry:
            yield Change(there, "replace", entry.sha256)
        elif may_change(there):
            yield Change(there, "keep", entry.sha256)
        there = next(present, None)
    while there is not None:
        yield Change(there, "remove")
        there = next(present, None)


def read_plan(folder: RunFolder) -> Iterator[tuple[str, Action]]:
    """Yield the names in the order of `Tree.names`, each with what happens to it."""
    return ((name, action) for name, action, _ in read_changes(folder) if action != "keep")


def read_changes(folder: RunFolder) -> Iterator[Change]:
    """Yield the plan in the order of `Tree.names`, also what it keeps."""
    with folder.open_plan() as lines:
        for line in lines:
            yield Change(**json.loads(line))


def _write_plan(folder: RunFolder, plan: Iterable[Change]) -> None:
    with _plan_of(plan) as lines:
        folder.write_plan(lines)


@contextmanager
def _plan_of(plan: Iterable[Change]) -> Iterator[BinaryIO]:
    """Give a file with the lines of a plan. It is on disk, so that memory stays flat."""
    with TemporaryFile() as lines:
        for change in plan:
            known = {name: value for name, value in change._asdict().items() if value}
            lines.write(json.dumps(known).encode() + b"\n")
        lines.seek(0)
        yield cast(BinaryIO, lines)
