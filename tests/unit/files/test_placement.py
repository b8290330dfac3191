"""Files take each other's place so that a crash at any point leaves every row its file."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from io import BytesIO
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import FileSystemStorage
from pytest_django import Settings

from backup_tasks.errors import DoesNotFit, HandoverChanged
from backup_tasks.restore import file_swap
from backup_tasks.restore.run_folder import Ask, RunFolder, runs_with_folder
from backup_tasks.storage import files
from backup_tasks.storage.files import Entry, Tree
from tests.s3 import Bucket

OLD = {"same": b"1", "changed": b"old", "a/gone": b"2", "b/changed.txt": b"old too"}
NEW = {"same": b"1", "changed": b"new!", "b/changed.txt": b"new too", "c/fresh": b"3", "d": b""}
RUN, UNDO, REDO = "restore-1", "undo-1", "undo-2"

Content = dict[str, bytes]


class Crash(BaseException):
    """kill -9: nothing that catches errors sees it."""


@pytest.fixture(params=["folder", "apart"])
def tree(request: pytest.FixtureRequest, settings: Settings) -> Tree:
    """An empty storage; tests/integration/files has one on S3."""
    return tree_of(request, settings)


def tree_of(request: pytest.FixtureRequest, settings: Settings) -> Tree:
    """The storage that the fixture's parameter names."""
    if request.param == "s3":
        bucket: Bucket = request.getfixturevalue("bucket")
        settings.STORAGES = {**settings.STORAGES, "default": bucket.storage("media")}
    if request.param == "apart":  # run folders are not in the storage
        folder = Path(settings.MEDIA_ROOT).with_name("undo-files")
        settings.BACKUP = {**settings.BACKUP, "UNDO_FILES": {"default": str(folder)}}
    return Tree("default")


ON_A_FILE_SYSTEM = pytest.mark.parametrize("tree", ["folder", "apart"], indirect=True)
"""What S3 has not: folders, and names that are not Unicode."""


def put(tree: Tree, content: Content, where: Callable[[str], str] = str) -> None:
    for name, data in content.items():
        tree.write(where(name), BytesIO(data))


def held(tree: Tree) -> Content:
    content = {}
    for name in tree.names():
        with tree.open(name) as file:
            content[name] = file.read()
    return content


def wanted(content: Content) -> Iterator[Entry]:
    for name in sorted(content, key=lambda name: os.fsencode(name.replace("/", "\0"))):
        data = content[name]
        yield Entry(name=name, size=len(data), sha256=sha256(data).hexdigest())


def freely() -> None:
    """Nobody else is at it."""


@contextmanager
def held_by(tree: Tree, run: str = RUN) -> Iterator[RunFolder]:
    """The run's folder, in the hands of an attempt that may go on."""
    with RunFolder(tree, run, Ask(freely)) as folder:
        yield folder


def prepare(tree: Tree, old: Content = OLD, new: Content = NEW) -> None:
    put(tree, old)
    put(tree, new, lambda name: file_swap.staged(RUN, name))
    with held_by(tree) as folder:
        file_swap.make_plan(folder, wanted(new))


def change(tree: Tree, run: str = RUN) -> None:
    """The whole of it, as promote does it; the rows change in between."""
    with held_by(tree, run) as folder:
        with file_swap.adding_files([folder], freely):
            pass
        file_swap.replace_and_remove(folder)


def plan_undo(tree: Tree, run: str, undone: str) -> None:
    with held_by(tree, run) as folder, held_by(tree, undone) as replaced:
        file_swap.make_undo_plan(folder, replaced)


def forget(tree: Tree, run: str) -> None:
    with held_by(tree, run) as folder:
        folder.remove()


def test_the_storage_holds_just_the_wanted_files_afterwards(tree: Tree) -> None:
    prepare(tree)
    assert held(tree) == OLD  # nothing has happened yet
    change(tree)
    assert held(tree) == NEW


def test_undo_brings_the_old_files_back_and_can_be_undone(tree: Tree) -> None:
    prepare(tree)
    change(tree)
    plan_undo(tree, UNDO, RUN)
    change(tree, UNDO)
    assert held(tree) == OLD
    forget(tree, RUN)
    plan_undo(tree, REDO, UNDO)
    change(tree, REDO)
    assert held(tree) == NEW


def test_new_files_are_there_before_the_rows_change_and_old_ones_until_then(tree: Tree) -> None:
    prepare(tree)
    with held_by(tree) as folder, file_swap.adding_files([folder], freely):
        assert held(tree) == {**NEW, **OLD}


def test_rows_that_do_not_change_after_all_leave_the_files_as_they_were(tree: Tree) -> None:
    prepare(tree)
    with (
        held_by(tree) as folder,
        pytest.raises(ZeroDivisionError),
        file_swap.adding_files([folder], freely),
    ):
        raise ZeroDivisionError
    assert held(tree) == OLD
    change(tree)
    assert held(tree) == NEW


def test_what_is_staged_and_kept_is_not_among_the_projects_files_and_can_be_forgotten(
    tree: Tree,
) -> None:
    prepare(tree)
    assert list(runs_with_folder(tree)) == [RUN]
    change(tree)
    forget(tree, RUN)
    assert list(runs_with_folder(tree)) == []
    assert held(tree) == NEW


def test_half_a_plan_is_never_taken_for_one(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is cut short when its file has just been made: the files that such a plan does not name
    would never be put in place."""
    put(tree, NEW, lambda name: file_swap.staged(RUN, name))
    if isinstance(tree.storage, FileSystemStorage):
        monkeypatch.setattr(files, "copyfileobj", _crash)
    else:
        monkeypatch.setattr(type(tree.storage), "_save", _crash)

    with pytest.raises(Crash), held_by(tree) as folder:
        file_swap.make_plan(folder, wanted(NEW))

    monkeypatch.undo()
    with held_by(tree) as folder:
        assert not folder.has_plan


@pytest.mark.parametrize("when", ["before the plan is made", "after the plan is made"])
@pytest.mark.parametrize("gone", ["changed", "b/changed.txt", "c/fresh"])
def test_a_file_that_was_staged_and_is_gone_stops_the_run_before_the_rows_change(
    tree: Tree, gone: str, when: str
) -> None:
    """A run that is resumed after its folder was lost: the rows would change, their files not."""
    put(tree, OLD)
    put(tree, NEW, lambda name: file_swap.staged(RUN, name))
    if when == "after the plan is made":
        with held_by(tree) as folder:
            file_swap.make_plan(folder, wanted(NEW))
    tree.delete(file_swap.staged(RUN, gone))

    with held_by(tree) as folder:
        file_swap.make_plan(folder, wanted(NEW))
        with pytest.raises(HandoverChanged, match=gone), file_swap.adding_files([folder], freely):
            pytest.fail("the rows would change here")

    assert held(tree) == OLD


@pytest.mark.parametrize("gone", ["changed", "c/fresh"])
def test_a_staged_file_that_goes_while_the_rows_change_is_never_taken_for_one_in_place(
    tree: Tree, gone: str
) -> None:
    prepare(tree)
    with held_by(tree) as folder:
        with file_swap.adding_files([folder], freely):
            tree.delete(folder.staged(gone) if gone == "changed" else gone)
        with pytest.raises(HandoverChanged, match=gone):
            file_swap.replace_and_remove(folder)


def _crash(*_: Any, **__: Any) -> Any:
    raise Crash


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_crash_at_any_step_leaves_every_row_its_file_and_the_next_attempt_ends_well(
    tree: Tree, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    """P9: a failed copy blocked any rerun."""
    for crash_at in count(step=1 if isinstance(tree.storage, FileSystemStorage) else 4):
        forget(tree, RUN)
        tree.remove_folder("")
        prepare(tree)
        rows, crashed = _attempt(tree, monkeypatch, crash_at, when)
        now = held(tree)
        if rows == "old":
            assert {name: now[name] for name in OLD} == OLD, crash_at
        else:
            assert set(NEW) <= set(now), crash_at
            for name, data in NEW.items():
                assert now[name] in (data, OLD.get(name)), crash_at

        change(tree)

        assert held(tree) == NEW
        if not crashed:
            break
    assert crash_at > 5


def _attempt(
    tree: Tree, monkeypatch: pytest.MonkeyPatch, crash_at: int, when: str
) -> tuple[str, bool]:
    """Change the files until the given step. Returns the rows that live has, and if it crashed."""
    steps, rows = count(), "old"

    def stumbling(work: Callable[..., Any]) -> Callable[..., Any]:
        def step(*arguments: Any, **options: Any) -> None:
            number = next(steps)
            if when == "before" and number == crash_at:
                raise Crash
            work(*arguments, **options)
            if when == "after" and number == crash_at:
                raise Crash

        return step

    with monkeypatch.context() as patch:
        patch.setattr(Tree, "move", stumbling(Tree.move))
        patch.setattr(Tree, "copy", stumbling(Tree.copy))
        patch.setattr(Tree, "delete", stumbling(Tree.delete))
        folder = RunFolder(tree, RUN, Ask(freely)).__enter__()  # who is killed does not leave it
        try:
            with file_swap.adding_files([folder], freely):
                rows = "new"
            file_swap.replace_and_remove(folder)
        except Crash:
            return rows, True
    return rows, False


def test_a_crash_before_the_rows_changed_can_be_taken_back(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What prune does with the files of a run that was killed and given up."""
    prepare(tree)
    after_the_first_file = 1 if tree.is_local else 2  # which is copied, and then deleted, elsewhere
    rows, crashed = _attempt(tree, monkeypatch, after_the_first_file, when="before")
    assert (rows, crashed) == ("old", True)
    with held_by(tree) as folder:
        file_swap.roll_back_added(folder)
    forget(tree, RUN)
    assert held(tree) == OLD


NAMES = ["é", "z", "a b/x", "a/y", "a.txt", "a/b/c", "Ω", "\U0001f9fe", "\udc80", "\udcff x"]


@ON_A_FILE_SYSTEM
@pytest.mark.parametrize("changed", NAMES)
def test_names_that_sort_in_other_ways_are_not_lost(tree: Tree, changed: str) -> None:
    """A name that the plan met twice would be moved away: also one that is not UTF-8."""
    old = dict.fromkeys(NAMES, b"old")
    new = {**old, changed: b"new"}
    prepare(tree, old, new)
    change(tree)
    assert held(tree) == new


@ON_A_FILE_SYSTEM
def test_a_plan_tells_names_that_are_no_text_as_escapes(tree: Tree) -> None:
    """The plan goes into the ledger and to a terminal: neither takes half a character."""
    new = {"\udcff x": b"new", "b\x1b[2J": b"new"}
    put(tree, dict.fromkeys(new, b"old"))
    put(tree, new, lambda name: file_swap.staged(RUN, name))

    with held_by(tree) as folder:
        plans = [file_swap.make_merge_plan(folder, wanted(new), replace=True) for _ in range(2)]

    for plan in plans:  # the second is read from the folder
        assert sorted(plan["conflicts"]) == [r"\xff x", r"b\x1b[2J"]
    change(tree)
    assert held(tree) == new


def test_a_file_that_disappeared_is_an_error_that_names_it(tree: Tree) -> None:
    prepare(tree)
    with held_by(tree) as folder:
        with file_swap.adding_files([folder], freely):
            pass
        tree.storage.delete("c/fresh")
        with pytest.raises(HandoverChanged) as refused:
            file_swap.replace_and_remove(folder)
    assert "c/fresh" in str(refused.value)


@ON_A_FILE_SYSTEM
@pytest.mark.parametrize(
    ("old", "new"), [({"a/b/c": b"1"}, {"a/b": b"2"}), ({"a/b": b"1"}, {"a/b/c": b"2"})]
)
def test_a_file_whose_name_is_a_folder_in_live_is_refused_before_anything_changes(
    tree: Tree, old: Content, new: Content
) -> None:
    with pytest.raises(DoesNotFit) as refused:
        prepare(tree, old, new)

    assert held(tree) == old
    with held_by(tree) as folder:
        assert not folder.has_plan
    assert all(name in refused.value.what for name in (*old, *new))


@ON_A_FILE_SYSTEM
def test_an_empty_folder_is_not_in_the_way_of_a_file(tree: Tree) -> None:
    """Whoever deletes a file through Django leaves its folder behind."""
    put(tree, {"a/b/c": b"1"})
    tree.storage.delete("a/b/c")
    prepare(tree, {}, {"a": b"2"})
    change(tree)
    assert held(tree) == {"a": b"2"}
