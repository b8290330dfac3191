"""Puts a set of files in the place of another: at no moment does a row of live miss its file.

Each storage is handled by itself. Below `.backup_tasks/` it has, per run, the files that a restore
staged (`staging`), those that a promote replaced (`kept`), and the plan that says what happens to
each name (`plan.jsonl`): lines of {"name": …, "action": "add" | "replace" | "remove"}.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from tempfile import TemporaryFile
from typing import Any, BinaryIO, Literal, cast

from backup_tasks.errors import DoesNotFit, HandoverChanged
from backup_tasks.storage.files import RESERVED, Entry, Tree, in_order

_NAMED = 10
Action = Literal["add", "replace", "remove"]


def staged(run_id: str, name: str = "") -> str:
    """Return where a run stages a file of that name."""
    return f"{RESERVED}/{run_id}/staging/{name}".rstrip("/")


def kept(run_id: str, name: str = "") -> str:
    """Return where a run keeps the file of that name that it replaced or removed."""
    return f"{RESERVED}/{run_id}/kept/{name}".rstrip("/")


def make_plan(
    tree: Tree, run_id: str, wanted: Iterable[Entry], *, keep_others: bool = False
) -> None:
    """Write what must happen so that the storage holds the wanted files, which are staged, and no
    others unless they are kept.

    `wanted` comes in the order of `Tree.names`. A plan that is there already is kept: after a crash
    the storage is somewhere between the two states, and only the first look knew the old one.
    Raises DoesNotFit for a file whose name is a folder there, or the other way round.
    """
    if has_plan(tree, run_id):
        return
    plan = _compare(tree, wanted)
    if keep_others:
        plan = ((name, action) for name, action in plan if action != "remove")
    _write_plan(tree, run_id, plan)


def make_merge_plan(
    tree: Tree, run_id: str, wanted: Iterable[Entry], *, replace: bool
) -> dict[str, Any]:
    """Write what must happen so that the storage holds the wanted files too, which are staged.

    Of two files of one name, the staged one is taken if `replace` says so. A plan that is there
    already is kept. Returns {"add", "replace", "kept": number, "conflicts": [some names]}.
    """
    counts: dict[str, Any] = {"add": 0, "replace": 0, "kept": 0, "conflicts": []}

    def steps() -> Iterator[tuple[str, Action]]:
        for name, action in _compare(tree, wanted):
            if action == "replace" and len(counts["conflicts"]) < _NAMED:
                counts["conflicts"].append(name)
            if action == "add" or (action == "replace" and replace):
                counts[action] += 1
                yield name, action
            elif action == "replace":
                counts["kept"] += 1

    if has_plan(tree, run_id):
        for name, action in _read_plan(tree, run_id):
            counts[action] += 1
            if action == "replace" and len(counts["conflicts"]) < _NAMED:
                counts["conflicts"].append(name)
    else:
        _write_plan(tree, run_id, steps())
    return counts


def make_undo_plan(tree: Tree, run_id: str, undone: str) -> None:
    """Write the plan that takes back what the plan of the run `undone` did, and stage its files."""
    if has_plan(tree, run_id) or not has_plan(tree, undone):
        return
    opposite: dict[Action, Action] = {"add": "remove", "remove": "add", "replace": "replace"}
    for name, action in _read_plan(tree, undone):
        if action != "add":
            tree.copy(kept(undone, name), staged(run_id, name))
    plan = ((name, opposite[action]) for name, action in _read_plan(tree, undone))
    _write_plan(tree, run_id, plan)


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


def has_plan(tree: Tree, run_id: str) -> bool:
    """Whether the run changes files of this storage."""
    return tree.exists(_plan_name(run_id))


@contextmanager
def added(trees: Sequence[Tree], run_id: str) -> Iterator[None]:
    """Add the files that live has not before the rows change inside: the old rows miss nothing. If
    the rows do not change after all, take them back."""
    try:
        for tree in trees:
            for name, action in _read_plan(tree, run_id):
                if action == "add" and tree.exists(staged(run_id, name)):
                    tree.move(staged(run_id, name), name)
        yield
    except Exception:
        for tree in trees:
            take_back_added(tree, run_id)
        raise


def take_back_added(tree: Tree, run_id: str) -> None:
    """Stage the added files again: the run did not change the rows."""
    if has_plan(tree, run_id):
        for name, action in _read_plan(tree, run_id):
            if action == "add" and tree.exists(name) and not tree.exists(staged(run_id, name)):
                tree.move(name, staged(run_id, name))


def put_other_files(tree: Tree, run_id: str) -> None:
    """After the rows have changed: replace and remove files, and keep the old ones for undo. What
    was staged and is in place already, byte for byte, goes: undo needs no second copy of it."""
    for name, action in _read_plan(tree, run_id):
        if action == "replace" and tree.exists(staged(run_id, name)):
            if not tree.exists(kept(run_id, name)):
                tree.copy(name, kept(run_id, name))
            tree.move(staged(run_id, name), name)
        elif action == "remove" and tree.exists(name):
            tree.move(name, kept(run_id, name))
        elif not tree.exists(name) and action != "remove":
            raise HandoverChanged(
                "the file is neither staged nor in place",
                obj=f"storage {tree.alias}: {name}",
                hint="Something else removed it. Restore the files again with --type files.",
            )
    tree.remove_folder(staged(run_id))


def forget(tree: Tree, run_id: str) -> None:
    """Remove all that a run staged and kept in the storage."""
    tree.remove_folder(f"{RESERVED}/{run_id}")


def runs_with_files(tree: Tree) -> list[str]:
    """Return the ids of the runs that have something staged or kept in the storage."""
    try:
        return sorted(tree.storage.listdir(RESERVED)[0])
    except FileNotFoundError:
        return []


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


def _plan_name(run_id: str) -> str:
    return f"{RESERVED}/{run_id}/plan.jsonl"


def _read_plan(tree: Tree, run_id: str) -> Iterator[tuple[str, Action]]:
    with tree.open(_plan_name(run_id)) as lines:
        for line in lines:
            record = json.loads(line)
            yield record["name"], record["action"]


def _write_plan(tree: Tree, run_id: str, plan: Iterable[tuple[str, Action]]) -> None:
    with TemporaryFile() as lines:
        for name, action in plan:
            lines.write(json.dumps({"name": name, "action": action}).encode() + b"\n")
        lines.seek(0)
        tree.write(_plan_name(run_id), cast(BinaryIO, lines))
