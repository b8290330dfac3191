"""A process that has lost its run changes no file of live, wherever it was stopped."""

import time
from collections.abc import Callable
from contextlib import suppress
from io import BytesIO

import pytest

from backup_tasks.errors import HandoverChanged, LeaseLost
from backup_tasks.restore import file_swap, run_folder
from backup_tasks.restore.run_folder import Ask, RunFolder, released_name, runs_with_folder
from backup_tasks.storage.files import Tree
from tests.unit.files.test_placement import (
    NEW,
    OLD,
    ON_A_FILE_SYSTEM,
    RUN,
    UNDO,
    change,
    freely,
    held,
    held_by,
    plan_undo,
    prepare,
    put,
    tree,
)

__all__ = ["tree"]


class Attempt:
    """One that may go on until another has begun."""

    def __init__(self, tree: Tree, run: str = RUN) -> None:
        self.is_lost = False
        self.asked = 0
        self.folder = RunFolder(tree, run, Ask(self._ask)).__enter__()

    def _ask(self) -> None:
        self.asked += 1
        if self.is_lost:
            raise LeaseLost("another worker has the step")


Operation = Callable[[RunFolder], object]
OPERATIONS: dict[str, tuple[Operation, dict[str, bytes]]] = {
    "add": (lambda folder: folder.move_to_live("c/fresh"), {}),
    "replace": (lambda folder: folder.move_to_live("changed"), {}),
    "take away": (lambda folder: folder.move_from_live("a/gone"), {"a/gone": b"2"}),
    "take back": (lambda folder: folder.roll_back("c/fresh"), {}),
    "keep": (lambda folder: folder.keep("same"), {}),
    "plan": (lambda folder: folder.write_plan(BytesIO(b"{}")), {}),
    "drop the plan": (lambda folder: folder.drop_plan(), {}),
    "remove": (lambda folder: folder.remove(), {}),
}
SILENT = ("drop the plan", "remove")
"""What is gone already is fine."""


@ON_A_FILE_SYSTEM
@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("answer_holds", [-1, 3600])
def test_who_was_stopped_while_another_finished_changes_nothing(
    tree: Tree, operation: str, answer_holds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """C26: the ledger says so when it is asked; where it was asked just before the stop, the file
    system knows the old name no more."""
    do, since = OPERATIONS[operation]
    prepare(tree)
    zombie = Attempt(tree)
    change(tree)
    put(tree, since)  # as a user may, or a later restore
    after = {name: tree.entry(name) for name in tree.names(released_name(RUN))}
    zombie.is_lost = True
    monkeypatch.setattr(run_folder, "ANSWER_HOLDS", answer_holds)

    told = suppress(LeaseLost) if operation in SILENT else pytest.raises(LeaseLost)
    with told:
        do(zombie.folder)
    zombie.folder.__exit__(None, None, None)

    assert held(tree) == {**NEW, **since}
    assert {name: tree.entry(name) for name in tree.names(released_name(RUN))} == after
    assert runs_with_folder(tree) == {RUN: False}
    plan_undo(tree, UNDO, RUN)
    change(tree, UNDO)
    assert held(tree) == OLD


@ON_A_FILE_SYSTEM
def test_who_was_stopped_in_the_middle_of_the_files_does_not_go_on(tree: Tree) -> None:
    """The next attempt goes on from there; so does one that takes the folder from a dead one."""
    prepare(tree)
    zombie = Attempt(tree)
    with file_swap.adding_files([zombie.folder], freely):
        pass
    zombie.folder.keep("changed")
    change(tree)
    zombie.is_lost = True
    put(tree, {"changed": b"of a later restore"})

    with pytest.raises(LeaseLost):
        file_swap.replace_and_remove(zombie.folder)

    assert held(tree) == NEW | {"changed": b"of a later restore"}


@ON_A_FILE_SYSTEM
def test_who_was_stopped_before_it_took_the_folder_does_not_take_it(tree: Tree) -> None:
    """Between its look at the names and the renaming, another took it, and asked later."""
    prepare(tree)
    later: list[Attempt] = []

    def ask() -> None:
        if not later:
            later.append(Attempt(tree))  # it begins in the very moment after this answer
        else:
            raise LeaseLost("another worker has the step")

    with pytest.raises(LeaseLost):
        RunFolder(tree, RUN, Ask(ask)).__enter__()

    later[0].folder.move_to_live("c/fresh")
    assert held(tree) == {**OLD, "c/fresh": b"3"}


def test_an_error_whose_outcome_is_not_certain_takes_nothing_back(tree: Tree) -> None:
    """A commit that did not answer may have happened; or somebody else is at it by now."""

    def certain() -> None:
        raise LeaseLost("another worker has the step")

    prepare(tree)
    with (
        held_by(tree) as folder,
        pytest.raises(ZeroDivisionError),
        file_swap.adding_files([folder], certain),
    ):
        raise ZeroDivisionError

    assert held(tree) == NEW | OLD
    change(tree)
    assert held(tree) == NEW


def test_what_was_taken_back_from_the_last_run_is_put_back(tree: Tree) -> None:
    """As where a storage can't rename folders, and who had lost the run was stopped within one
    file."""
    prepare(tree)
    change(tree)
    with held_by(tree) as folder:
        folder.roll_back("c/fresh")
        assert file_swap.restore_lost(folder) == ["c/fresh"]
        assert file_swap.restore_lost(folder) == []
    assert held(tree) == NEW


def test_an_answer_of_the_ledger_holds_for_a_moment_and_no_longer(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(tree)
    attempt = Attempt(tree)
    asked = attempt.asked
    began = time.monotonic()
    for _ in range(50):
        attempt.folder.keep("same")
    took = time.monotonic() - began

    assert asked >= 1
    assert attempt.asked - asked <= took / run_folder.ANSWER_HOLDS + 1
    attempt.is_lost = True
    monkeypatch.setattr(run_folder, "ANSWER_HOLDS", -1)  # as if it had passed
    with pytest.raises(LeaseLost):
        attempt.folder.keep("same")


@ON_A_FILE_SYSTEM
def test_a_folder_that_somebody_removed_is_an_error_that_names_it(tree: Tree) -> None:
    prepare(tree)
    with held_by(tree) as folder:
        tree.remove_folder(f".backup_tasks/{tree.run_folders()[0]}")
        with pytest.raises(HandoverChanged) as refused:
            folder.move_to_live("c/fresh")
    assert released_name(RUN) in str(refused.value)
