"""S3: what a late request has replaced or removed after all, the next run finds and puts back.

The request's condition held: a later run, an undo for example, had made the object what it was when
the stopped process looked at it.
"""

from collections.abc import Callable
from datetime import timedelta

import pytest

from backup_tasks import moments
from backup_tasks.errors import LeaseLost
from backup_tasks.models import Run, UndoPoint
from backup_tasks.restore import file_swap, late_requests, undo_points
from backup_tasks.restore.run_folder import Ask
from backup_tasks.storage.files import Tree
from tests.integration.files.test_late_requests import CASES, Zombie, tree
from tests.integration.rows.transfer import run
from tests.s3 import Bucket
from tests.services import Project
from tests.unit.files.test_placement import (
    NEW,
    OLD,
    RUN,
    UNDO,
    change,
    freely,
    held_by,
    plan_undo,
    prepare,
    put,
    wanted,
)

__all__ = ["tree"]


@pytest.fixture
def engine() -> str:
    """What is tried here does not depend on the database."""
    return "sqlite"


def record(kind: str, name: str, *, undoes: str = "") -> UndoPoint:
    """As the ledger has a run that has replaced live, rows and files."""
    ended = Run.objects.create(pk=name, kind=kind, state="succeeded", trigger="command")
    UndoPoint.objects.filter(pk=undoes).update(undone_at=moments.now())
    until = moments.now() + timedelta(days=7)
    return UndoPoint.objects.create(
        run=ended, schema="", undoes=undoes, storages=["default"], files_done=True, expires_at=until
    )


def be_late(tree: Tree, operation: str, since: Callable[[Tree], None]) -> None:
    """A process is stopped right before its request is sent, and another finishes its run; then
    `since` happens, and the request is sent."""
    do, request, key, _ = CASES[operation]
    prepare(tree)

    def meanwhile(tree: Tree) -> None:
        change(tree)
        since(tree)

    zombie = Zombie(tree, meanwhile)
    zombie.is_stopped_before(request, key)
    if operation == "replace":
        zombie.folder.keep("changed")
        with pytest.raises(LeaseLost):
            do(zombie.folder)
    else:
        do(zombie.folder)


def undo(tree: Tree) -> None:
    plan_undo(tree, UNDO, RUN)
    change(tree, UNDO)


def next_run(tree: Tree, *, refers: bool = False) -> int:
    """How many files the next run puts back."""
    last = undo_points.last()
    assert last is not None
    return late_requests.put_back(tree, last, Ask(freely), lambda *_: refers).put_back.number


def test_a_file_that_was_replaced_late_after_an_undo_is_put_back_by_the_next_prune(
    on_project: Project, tree: Tree, bucket: Bucket
) -> None:
    be_late(tree, "replace", undo)
    assert bucket.held("media") == OLD | {"changed": NEW["changed"]}, "the request came through"
    record("restore", RUN)
    record("undo", UNDO, undoes=RUN)

    (warning,) = run("prune").report["warnings"]

    assert bucket.held("media") == OLD
    assert "changed" in warning
    assert UNDO in warning
    assert run("prune").report["warnings"] == []
    assert bucket.held("media") == OLD


@pytest.mark.parametrize("refers", [True, False])
def test_a_file_that_was_removed_late_after_an_undo_is_put_back_if_a_row_needs_it(
    on_project: Project, tree: Tree, bucket: Bucket, refers: bool
) -> None:
    """If no row does, a user has removed it, as far as anybody knows."""
    be_late(tree, "remove", undo)
    assert "a/gone" not in bucket.held("media")
    record("restore", RUN)
    record("undo", UNDO, undoes=RUN)

    assert next_run(tree, refers=refers) == refers

    assert ("a/gone" in bucket.held("media")) is refers
    assert next_run(tree, refers=refers) == 0


def test_a_file_that_was_replaced_late_after_another_restore_is_put_back(
    on_project: Project, tree: Tree, bucket: Bucket
) -> None:
    def restore_another(tree: Tree) -> None:
        put(tree, OLD, lambda name: f".backup_tasks/restore-2/staging/{name}")
        with held_by(tree, "restore-2") as folder:
            file_swap.make_plan(folder, wanted(OLD))
        change(tree, "restore-2")

    be_late(tree, "replace", restore_another)
    assert bucket.held("media")["changed"] == NEW["changed"]
    record("restore", RUN)
    record("restore", "restore-2")
    UndoPoint.objects.filter(pk=RUN).update(undone_at=moments.now())

    assert next_run(tree) == 1

    assert bucket.held("media") == OLD


def test_what_users_write_and_what_the_last_run_left_alone_stays(
    on_project: Project, tree: Tree, bucket: Bucket
) -> None:
    prepare(tree)
    change(tree)
    undo(tree)
    put(tree, {"changed": NEW["changed"]})  # a user uploads what the restore had brought
    record("restore", RUN)
    record("undo", UNDO, undoes=RUN)
    before = bucket.held("media")

    assert next_run(tree, refers=True) == 0

    assert bucket.held("media") == before


def test_the_files_of_the_run_that_replaced_live_last_are_its_own(
    on_project: Project, tree: Tree, bucket: Bucket
) -> None:
    prepare(tree)
    change(tree)
    record("restore", RUN)
    assert next_run(tree, refers=True) == 0
    assert bucket.held("media") == NEW
