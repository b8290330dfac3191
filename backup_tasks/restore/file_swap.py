"""Puts a set of files in the place of another: at no moment does a row of live miss its file.

Each storage is handled by itself, through the run's folder in it (`run_folder.RunFolder`). The plan
there says what happens to each name: lines of {"name": …, "action": "add" | "replace" | "remove"}.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from tempfile import TemporaryFile
from typing import Any, BinaryIO, Literal, cast

from django.db import DatabaseError, InterfaceError

from backup_tasks.errors import BackupError, DoesNotFit, HandoverChanged
from backup_tasks.printable import printable
from backup_tasks.restore.run_folder import RunFolder, released_name
from backup_tasks.storage.files import Entry, Tree
from backup_tasks.storage.folder_scan import in_order

_NAMED = 10
Action = Literal["add", "replace", "remove"]


def staged(run_id: str, name: str = "") -> str:
    """Return where a run stages a file of that name, before it holds its folder."""
    return f"{released_name(run_id)}/staging/{name}".rstrip("/")


def may_have_lost(tree: Tree, run_id: str) -> bool:
    """Whether a run whose folder nobody holds has a file that `restore_lost` may put back."""
    folders = (staged(run_id), f"{released_name(run_id)}/taken")
    return any(next(tree.names(folder), None) for folder in folders)


def make_plan(folder: RunFolder, wanted: Iterable[Entry], *, keep_others: bool = False) -> None:
    """Write what must happen so that the storage holds the wanted files, which are staged, and no
    others unless they are kept.

    `wanted` comes in the order of `Tree.names`. A plan that is there already is kept: after a crash
    the storage is somewhere between the two states, and only the first look knew the old one.
    Raises DoesNotFit for a file whose name is a folder there, or the other way round.
    """
    if folder.has_plan:
        return
    plan = _compare(folder.tree, wanted)
    if keep_others:
        plan = ((name, action) for name, action in plan if action != "remove")
    _write_plan(folder, plan)


def make_merge_plan(folder: RunFolder, wanted: Iterable[Entry], *, replace: bool) -> dict[str, Any]:
    """Write what must happen so that the storage holds the wanted files too, which are staged.

    Of two files of one name, the staged one is taken if `replace` says so. A plan that is there
    already is kept. Returns {"add", "replace", "kept": number, "conflicts": [some
    names, as they can be printed]}.
    """
    counts: dict[str, Any] = {"add": 0, "replace": 0, "kept": 0, "conflicts": []}

    def steps() -> Iterator[tuple[str, Action]]:
        for name, action in _compare(folder.tree, wanted):
            if action == "replace" and len(counts["conflicts"]) < _NAMED:
                counts["conflicts"].append(printable(name))
            if action == "add" or (action == "replace" and replace):
                counts[action] += 1
                yield name, action
            elif action == "replace":
                counts["kept"] += 1

    if folder.has_plan:
        for name, action in _read_plan(folder):
            counts[action] += 1
            if action == "replace" and len(counts["conflicts"]) < _NAMED:
                counts["conflicts"].append(printable(name))
    else:
        _write_plan(folder, steps())
    return counts


def make_undo_plan(folder: RunFolder, undone: RunFolder) -> None:
    """Write the plan that takes back what the plan of another run did, and stage its files."""
    if folder.has_plan or not undone.has_plan:
        return
    opposite: dict[Action, Action] = {"add": "remove", "remove": "add", "replace": "replace"}
    for name, action in _read_plan(undone):
        if action != "add":
            folder.stage_kept_of(undone, name)
    _write_plan(folder, ((name, opposite[action]) for name, action in _read_plan(undone)))


def refuse_clash(tree: Tree, name: str) -> None:
    """Raise DoesNotFit if a file of live would have to go before a file of that name can come: in
    between, rows would miss one of the two."""
    if other := tree.in_the_way(name):
        raise DoesNotFit(
            f"the package has the file {name}, live has {other}: one name can't be a file and a "
            "folder",
            obj=f"storage {tree.alias}: {name}",
            hint=f"Live was not touched. Move {other} away (its rows too), or say --type database.",
        )


@contextmanager
def adding_files(folders: Sequence[RunFolder], certain: Callable[[], None]) -> Iterator[None]:
    """Add the files that live has not before the rows change inside: the old rows miss nothing.

    If an error comes out, they are taken back; but only if `certain` raises none: that the rows did
    not change, and that nobody else is at it. Else they stay, and the next attempt finds them.
    """
    try:
        for folder in folders:
            for name, action in _read_plan(folder):
                if action == "add" and folder.tree.exists(folder.staged(name)):
                    folder.move_to_live(name)
        yield
    except Exception:
        if _raises_nothing(certain):
            for folder in folders:
                roll_back_added(folder)
        raise


def _raises_nothing(question: Callable[[], None]) -> bool:
    try:
        question()
    except (BackupError, DatabaseError, InterfaceError):
        return False
    return True


def roll_back_added(folder: RunFolder) -> None:
    """Stage the added files again: the run did not change the rows."""
    if folder.has_plan:
        tree = folder.tree
        for name, action in _read_plan(folder):
            if action != "add" or not tree.exists(name):
                continue
            if not tree.exists(folder.staged(name)) or folder.has_copy_of(name):
                folder.roll_back(name)


def replace_and_remove(folder: RunFolder) -> None:
    """After the rows have changed: replace and remove files, and keep the old ones for undo. What
    was staged and is in place already, byte for byte, goes: undo needs no second copy of it."""
    tree = folder.tree
    for name, action in _read_plan(folder):
        if action == "replace" and tree.exists(folder.staged(name)):
            if not tree.exists(folder.kept(name)):
                folder.keep(name)
            folder.move_to_live(name)
        elif action == "remove" and tree.exists(name):
            folder.move_from_live(name)
        elif action == "add" and tree.exists(folder.staged(name)) and not tree.exists(name):
            folder.move_to_live(name)  # somebody who had lost the run took it back
        elif not tree.exists(name) and action != "remove":
            raise HandoverChanged(
                "the file is neither staged nor in place",
                obj=f"storage {tree.alias}: {name}",
                hint="Something else removed it. Restore the files again with --type files.",
            )
    folder.remove(folder.staged())


def restore_lost(folder: RunFolder) -> list[str]:
    """Of the run that replaced live last: put the files in place again that a process took back
    which had lost the run. Return their names."""
    if not folder.has_plan:
        return []
    return [
        name
        for name, action in _read_plan(folder)
        if action != "remove" and folder.restore_lost(name)
    ]


def _compare(tree: Tree, wanted: Iterable[Entry]) -> Iterator[tuple[str, Action]]:
    """Walk both sets side by side: neither is ever in memory."""
    present = tree.names()
    there = next(present, None)
    for entry in wanted:
        while there is not None and _order(there) < _order(entry.name):
            yield there, "remove"
            there = next(present, None)
        if there != entry.name:
            refuse_clash(tree, entry.name)
            yield entry.name, "add"
            continue
        if tree.storage.size(there) != entry.size or tree.entry(there) != entry:
            yield there, "replace"
        there = next(present, None)
    while there is not None:
        yield there, "remove"
        there = next(present, None)


def _order(name: str) -> list[bytes]:
    return [in_order(part) for part in name.split("/")]


def _read_plan(folder: RunFolder) -> Iterator[tuple[str, Action]]:
    with folder.open_plan() as lines:
        for line in lines:
            record = json.loads(line)
            yield record["name"], record["action"]


def _write_plan(folder: RunFolder, plan: Iterable[tuple[str, Action]]) -> None:
    with TemporaryFile() as lines:
        for name, action in plan:
            lines.write(json.dumps({"name": name, "action": action}).encode() + b"\n")
        lines.seek(0)
        folder.write_plan(cast(BinaryIO, lines))
