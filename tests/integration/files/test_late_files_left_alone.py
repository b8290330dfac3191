"""S3: a late request of a run that ended among its files, and another run that left the file alone.

The object's metadata can't tell when it was written. So a run records what it leaves as it is.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.core.files.storage.handler import StorageHandler
from django.db import connections

from backup_tasks import cleanup, moments
from backup_tasks.errors import LeaseLost
from backup_tasks.models import Run, UndoPoint
from backup_tasks.restore import file_swap, late_requests
from backup_tasks.restore.run_folder import Ask
from backup_tasks.storage import s3_conditions
from backup_tasks.storage.files import Tree
from tests.integration.files.test_late_files_put_back import next_run, record
from tests.integration.files.test_late_requests import CASES, Zombie, tree
from tests.integration.rows.transfer import run
from tests.s3 import Bucket
from tests.services import Project
from tests.unit.files.test_placement import (
    NEW,
    OLD,
    RUN,
    Content,
    change,
    freely,
    held_by,
    prepare,
    put,
    wanted,
)

__all__ = ["tree"]

OTHER = "restore-2"
Planned = Callable[[Tree], None]


@pytest.fixture
def engine() -> str:
    """What is tried here does not depend on the database."""
    return "sqlite"


def end_among_its_files(tree: Tree, name: str = RUN) -> None:
    """A run has replaced the rows, and failed before all files."""
    with held_by(tree, name) as folder, file_swap.adding_files([folder], freely):
        pass
    record("restore", name)
    Run.objects.filter(pk=name).update(state="failed", finished_at=moments.now())
    UndoPoint.objects.filter(pk=name).update(files_done=False)


def restore(tree: Tree, plan: Planned, name: str = OTHER) -> None:
    """Another run that changes live, and supersedes those that have not finished."""
    cleanup.settle_others(name, Ask(freely))
    plan(tree)
    UndoPoint.objects.filter(files_done=False).update(files_done=True, undone_at=moments.now())
    record("restore", name)
    with held_by(tree, name) as folder:
        if folder.has_plan:
            file_swap.replace_and_remove(folder)


def exactly(content: Content, name: str = OTHER) -> Planned:
    def plan(tree: Tree) -> None:
        put(tree, content, lambda each: f".backup_tasks/{name}/staging/{each}")
        with held_by(tree, name) as folder:
            file_swap.make_plan(folder, wanted(content))
            with file_swap.adding_files([folder], freely):
                pass

    return plan


def rows_only(tree: Tree) -> None:
    """No file is planned."""


def by_a_merge(tree: Tree) -> None:
    """Where live wins."""
    content = {"changed": b"of the package"}
    put(tree, content, lambda name: f".backup_tasks/{OTHER}/staging/{name}")
    with held_by(tree, OTHER) as folder:
        file_swap.make_merge_plan(folder, wanted(content), replace=False)


LEAVES_ALONE: dict[str, Planned] = {
    "exactly": exactly(OLD),
    "rows only": rows_only,
    "by a merge": by_a_merge,
}


@contextmanager
def of_this_thread() -> Iterator[None]:
    try:
        yield
    finally:
        connections.close_all()


def be_late(tree: Tree, operation: str, meanwhile: Planned) -> None:
    """A process is stopped right before its request is sent, its run fails, and another follows."""
    do, request, key, _ = CASES[operation]

    def then(tree: Tree) -> None:
        with of_this_thread():
            meanwhile(tree)

    own = Tree("default")  # with a client of its own: a process of its own
    backends: Any = django_settings.STORAGES
    own.storage = StorageHandler(backends)["default"]
    zombie = Zombie(own, then)
    if operation == "replace":
        zombie.folder.keep("changed")
    zombie.is_stopped_before(request, key)
    with suppress(LeaseLost):  # where it would go on with another request
        do(zombie.folder)
    assert zombie.is_lost


@pytest.mark.parametrize("how", LEAVES_ALONE)
def test_a_file_that_was_replaced_late_is_put_back_by_the_next_prune(
    on_project: Project, tree: Tree, bucket: Bucket, how: str
) -> None:
    prepare(tree)
    end_among_its_files(tree)
    be_late(tree, "replace", lambda tree: restore(tree, LEAVES_ALONE[how]))
    assert bucket.held("media")["changed"] == NEW["changed"], "the request came through"

    (warning,) = run("prune").report["warnings"]

    assert bucket.held("media")["changed"] == OLD["changed"]
    assert "changed" in warning
    assert OTHER in warning
    assert run("prune").report["warnings"] == []


@pytest.mark.parametrize("how", LEAVES_ALONE)
def test_a_file_that_was_removed_late_is_put_back_if_a_row_needs_it(
    on_project: Project, tree: Tree, bucket: Bucket, how: str
) -> None:
    prepare(tree)
    end_among_its_files(tree)
    be_late(tree, "remove", lambda tree: restore(tree, LEAVES_ALONE[how]))
    assert "a/gone" not in bucket.held("media")
    assert next_run(tree, refers=False) == 0, "a user may have removed it"

    assert next_run(tree, refers=True) == 1

    assert bucket.held("media")["a/gone"] == OLD["a/gone"]
    assert next_run(tree, refers=True) == 0


def test_a_file_that_was_taken_back_late_from_another_restore_is_put_back(
    on_project: Project, tree: Tree, bucket: Bucket
) -> None:
    """It has added the same file as the one that failed before the rows changed."""
    prepare(tree)
    with held_by(tree) as folder:
        folder.move_to_live("c/fresh")
    Run.objects.create(
        pk=RUN, kind="restore", state="failed", trigger="command", finished_at=moments.now()
    )
    be_late(tree, "take back", lambda tree: restore(tree, exactly(NEW)))
    assert "c/fresh" not in bucket.held("media")

    assert next_run(tree, refers=True) == 1

    assert bucket.held("media") == NEW


def test_what_was_taken_back_stays_for_a_day(
    on_project: Project, tree: Tree, bucket: Bucket
) -> None:
    """A late request can come when the run has been cancelled, and its orphans are removed."""
    prepare(tree)
    with held_by(tree) as folder:
        folder.move_to_live("c/fresh")
    Run.objects.create(
        pk=RUN, kind="restore", state="cancelled", trigger="command", finished_at=moments.now()
    )

    assert cleanup.remove_all(dry=False).names == [f"default:{RUN}"]
    assert list(tree.names(f".backup_tasks/{RUN}")) == [f".backup_tasks/{RUN}/taken/c/fresh"]
    assert cleanup.remove_all(dry=False).names == []

    Run.objects.update(finished_at=moments.now() - late_requests.COPIES_STAY)
    assert cleanup.remove_all(dry=False).names == [f"default:{RUN}"]
    assert list(tree.names(".backup_tasks")) == []
    assert bucket.held("media") == OLD


def test_the_plan_of_a_run_that_was_superseded_brings_nothing_back(
    on_project: Project, tree: Tree, bucket: Bucket
) -> None:
    """Not all of it has happened: what the next run found, and wants, is the first one's."""
    prepare(tree)
    change(tree)
    record("restore", RUN)
    exactly(OLD)(tree)
    end_among_its_files(tree, OTHER)
    restore(tree, exactly(NEW, "restore-3"), "restore-3")
    assert bucket.held("media") == NEW

    assert next_run(tree, refers=True) == 0

    assert bucket.held("media") == NEW


def test_a_file_of_which_no_copy_is_left_is_named(
    on_project: Project, tree: Tree, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without conditions, a late request also replaces what somebody else has changed since."""
    monkeypatch.setattr(s3_conditions, "_without", {bucket.endpoint})
    prepare(tree)
    end_among_its_files(tree)
    later = exactly(OLD | {"changed": b"of a later restore"})
    be_late(tree, "replace", lambda tree: restore(tree, later))
    before = bucket.held("media")
    assert before["changed"] == NEW["changed"]

    (warning,) = run("prune").report["warnings"]

    assert "1 files have been replaced by a process that had lost its run" in warning
    assert "--type files: changed" in warning
    assert bucket.held("media") == before
