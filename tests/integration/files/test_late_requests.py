"""S3: a request that is sent late, by a process that was stopped right before it, harms nothing.

The process has asked whether it may go on. Right before its request is sent another one takes the
step over, finishes it, and something else happens to the files; then the request is sent.
"""

from collections.abc import Callable
from threading import Thread
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.core.files.storage import storages
from django.core.files.storage.handler import StorageHandler
from pytest_django import Settings

from backup_tasks.errors import LeaseLost, StorageUnavailable
from backup_tasks.restore import file_swap
from backup_tasks.restore.run_folder import Ask, RunFolder
from backup_tasks.storage import s3_conditions
from backup_tasks.storage.files import Tree
from tests.s3 import Bucket
from tests.unit.files.test_placement import (
    NEW,
    OLD,
    RUN,
    UNDO,
    change,
    forget,
    held_by,
    plan_undo,
    prepare,
    put,
    wanted,
)


@pytest.fixture
def tree(bucket: Bucket, settings: Settings) -> Tree:
    settings.STORAGES = {**settings.STORAGES, "default": bucket.storage("media")}
    return Tree("default")


class Zombie:
    """Loses its run right before the given request for the given key is sent."""

    def __init__(self, tree: Tree, meanwhile: Callable[[Tree], None], *, late: bool = True) -> None:
        self.is_lost = False
        self.tree, self._meanwhile, self._late = tree, meanwhile, late
        self.folder = RunFolder(tree, RUN, Ask(self._ask)).__enter__()

    def _ask(self) -> None:
        if self.is_lost:
            raise LeaseLost("another worker has the step")

    def is_stopped_before(self, request: str, key: str) -> None:
        """Requests are PUT and DELETE."""

        def stopped(request: Any, **_: Any) -> None:
            if self.is_lost or not request.url.partition("?")[0].endswith(f"/media/{key}"):
                return
            self.is_lost = True
            thread = Thread(target=self._others)
            thread.start()
            thread.join()

        events = self.tree.storage.bucket.meta.client.meta.events  # type: ignore[attr-defined]
        # The last one is called when the product has asked, and the bytes are sent next.
        register = events.register_last if self._late else events.register_first
        register(f"before-send.s3.{request}", stopped)

    def _others(self) -> None:
        """As another process: with a client of its own."""
        tree = Tree("default")
        backends: Any = django_settings.STORAGES
        tree.storage = StorageHandler(backends)["default"]
        self._meanwhile(tree)


Operation = Callable[[RunFolder], object]
KEPT, STAGED = f".backup_tasks/{RUN}/kept", f".backup_tasks/{RUN}/staging"
LATER = b"of a later restore"
CASES: dict[str, tuple[Operation, str, str, dict[str, bytes]]] = {
    "add": (
        lambda folder: folder.move_to_live("c/fresh"),
        "PutObject",
        "c/fresh",
        {"c/fresh": LATER},
    ),
    "replace": (
        lambda folder: folder.move_to_live("changed"),
        "PutObject",
        "changed",
        {"changed": LATER},
    ),
    "remove": (
        lambda folder: folder.move_from_live("a/gone"),
        "DeleteObject",
        "a/gone",
        {"a/gone": LATER},
    ),
    "take back": (
        lambda folder: folder.roll_back("c/fresh"),
        "DeleteObject",
        "c/fresh",
        {"c/fresh": LATER},
    ),
    "keep": (lambda folder: folder.keep("changed"), "PutObject", f"{KEPT}/changed", {}),
    "plan": (lambda folder: file_swap.make_plan(folder, wanted({})), "PutObject", "", {}),
}


@pytest.mark.parametrize("operation", CASES)
def test_a_late_request_changes_no_object_that_others_have_changed(
    tree: Tree, bucket: Bucket, operation: str
) -> None:
    do, request, key, since = CASES[operation]
    seen: dict[str, bytes] = {}

    def meanwhile(tree: Tree) -> None:
        if operation == "plan":
            with held_by(tree) as folder:
                file_swap.make_plan(folder, wanted(NEW))
        change(tree)
        put(tree, since)
        seen.update(bucket.held("media"))

    if operation == "plan":
        put(tree, OLD)
        put(tree, NEW, lambda name: file_swap.staged(RUN, name))
        key = f".backup_tasks/{RUN}/plan.jsonl"
    else:
        prepare(tree)
    if operation == "take back":
        with held_by(tree) as folder:
            folder.move_to_live("c/fresh")
    zombie = Zombie(tree, meanwhile)
    zombie.is_stopped_before(request, key)

    with pytest.raises(LeaseLost):
        do(zombie.folder)

    assert zombie.is_lost
    assert seen == bucket.held("media") == NEW | since
    put(tree, {name: NEW.get(name, b"") for name in since})
    plan_undo(tree, UNDO, RUN)  # from what the run has kept
    change(tree, UNDO)
    assert {**OLD, **bucket.held("media")} == {**bucket.held("media"), **OLD}


@pytest.mark.parametrize("operation", ["add", "replace", "remove", "take back"])
def test_a_request_of_a_process_that_was_stopped_while_it_was_prepared_is_not_sent(
    tree: Tree, bucket: Bucket, operation: str
) -> None:
    """The ledger is asked when the request is signed; the time to send its bytes is left."""
    do, request, key, _ = CASES[operation]
    prepare(tree)
    if operation == "take back":
        with held_by(tree) as folder:
            folder.move_to_live("c/fresh")
    before = bucket.held("media")
    zombie = Zombie(tree, lambda tree: None, late=False)
    zombie.is_stopped_before(request, key)

    with pytest.raises(LeaseLost):
        do(zombie.folder)

    assert zombie.is_lost
    assert bucket.held("media") == before


@pytest.mark.parametrize("operation", ["remove", "take back"])
def test_what_a_late_request_removes_after_all_has_been_copied(
    tree: Tree, bucket: Bucket, operation: str
) -> None:
    """Nobody has changed the object since: the condition holds."""
    do, request, key, _ = CASES[operation]
    prepare(tree)
    if operation == "take back":
        with held_by(tree) as folder:
            folder.move_to_live("c/fresh")
    zombie = Zombie(tree, change if operation == "take back" else lambda tree: None)
    zombie.is_stopped_before(request, key)

    do(zombie.folder)

    assert key not in bucket.held("media")
    if operation == "take back":  # the next run that changes live finds it
        with held_by(tree) as folder:
            assert file_swap.may_have_lost(tree, RUN)
            assert file_swap.restore_lost(folder) == [key]
            assert file_swap.restore_lost(folder) == []
        assert bucket.held("media") == NEW
    else:
        change(tree)
        assert bucket.held("media") == NEW


def test_a_plan_that_comes_when_the_run_is_gone_does_not_count(tree: Tree, bucket: Bucket) -> None:
    """Else the next prune would take back what it names from live, which a later run has added."""
    put(tree, OLD)
    put(tree, NEW, lambda name: file_swap.staged(RUN, name))

    def meanwhile(tree: Tree) -> None:
        forget(tree, RUN)
        put(tree, NEW)

    zombie = Zombie(tree, meanwhile)
    zombie.is_stopped_before("PutObject", f".backup_tasks/{RUN}/plan.jsonl")
    with pytest.raises(LeaseLost):
        file_swap.make_plan(zombie.folder, wanted(NEW))
    before = bucket.held("media")

    with held_by(tree) as folder:
        assert not folder.has_plan
        file_swap.roll_back_added(folder)

    assert bucket.held("media") == before


def test_a_file_that_was_copied_and_not_yet_removed_when_its_process_died_is_taken_back(
    tree: Tree, bucket: Bucket
) -> None:
    prepare(tree)
    with held_by(tree) as folder:
        tree.copy(folder.staged("c/fresh"), "c/fresh")
        file_swap.roll_back_added(folder)
    assert bucket.held("media") == OLD


def test_large_files_are_conditional_too(tree: Tree, bucket: Bucket) -> None:
    """They are uploaded in parts; the condition is asked at the end."""
    large = b"x" * (9 << 20)
    prepare(tree, {}, {"large": large})

    def meanwhile(tree: Tree) -> None:
        put(tree, {"large": b"of somebody else"})

    zombie = Zombie(tree, meanwhile)
    zombie.is_stopped_before("CompleteMultipartUpload", "large")
    with pytest.raises(LeaseLost):
        zombie.folder.move_to_live("large")

    assert bucket.held("media") == {"large": b"of somebody else"}
    assert "Uploads" not in bucket.client.list_multipart_uploads(Bucket=bucket.name)


def test_a_storage_that_never_overwrites_is_served(bucket: Bucket, settings: Settings) -> None:
    """It deletes first, and then there is no object."""
    careful = bucket.storage("media", file_overwrite=False)
    settings.STORAGES = {**settings.STORAGES, "default": careful}
    tree = Tree("default")
    prepare(tree)
    change(tree)
    assert bucket.held("media") == NEW


def test_a_service_without_conditions_gets_none_from_the_next_try_on(
    tree: Tree, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3_conditions, "_without", set())
    prepare(tree)
    client: Any = storages["default"].bucket.meta.client  # type: ignore[attr-defined]

    def refuse(model: Any, params: Any, **_: Any) -> Any:
        headers = {name.lower() for name in params["headers"]}
        if headers & {"if-match", "if-none-match"}:
            answer = type("Answer", (), {"status_code": 501, "headers": {}, "content": b""})()
            error = {"Code": "NotImplemented", "Message": "A header is not implemented"}
            return answer, {"Error": error, "ResponseMetadata": {"HTTPStatusCode": 501}}
        return None

    client.meta.events.register("before-call.s3", refuse)
    with (
        held_by(tree) as folder,
        pytest.raises(StorageUnavailable, match="no conditional requests"),
    ):
        folder.move_to_live("c/fresh")
    change(tree)
    assert bucket.held("media") == NEW
