"""A restore is resumed, and live's files have changed since it planned what happens to them."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from backup_tasks.engines.sqlite.engine import SQLite
from backup_tasks.errors import Permanent
from backup_tasks.models import Run
from backup_tasks.restore import file_swap
from backup_tasks.runs import chains
from backup_tasks.runs.foreground import run_here
from tests.acceptance.contents import contents, files
from tests.integration.files.test_fenced_steps import work_on
from tests.integration.rows.transfer import Silent, run
from tests.services import Project


@pytest.fixture
def engine() -> str:
    """What happens to the files does not depend on the database."""
    return "sqlite"


def fail(*_: object, **__: object) -> float:
    raise Permanent("the disk is full")


@contextmanager
def failing_at(monkeypatch: pytest.MonkeyPatch, owner: object, name: str) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, fail)
        with pytest.raises(Permanent):
            yield


def test_a_restore_that_another_one_was_finished_before_makes_a_new_plan(
    on_demo_project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its old plan knows the files from before the first one was finished."""
    before = contents(on_demo_project), files(on_demo_project)
    first = run("backup").package
    work_on(on_demo_project)
    since = contents(on_demo_project), files(on_demo_project)
    second = run("backup").package
    with failing_at(monkeypatch, file_swap, "replace_and_remove"):
        run("restore", package=first, safety=False)
    with failing_at(monkeypatch, SQLite, "promote"):
        run("restore", package=second, safety=False)
    one, other = Run.objects.filter(kind="restore").order_by("created_at").values_list("pk")

    run_here(chains.resume(*one, on_workers=False), watcher=Silent())
    assert (contents(on_demo_project), files(on_demo_project)) == before

    run_here(chains.resume(*other, on_workers=False), watcher=Silent())
    assert (contents(on_demo_project), files(on_demo_project)) == since


def test_what_users_did_before_it_was_resumed_is_compared_too(
    on_demo_project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = contents(on_demo_project), files(on_demo_project)
    package = run("backup").package
    with failing_at(monkeypatch, SQLite, "promote"):
        run("restore", package=package, safety=False)
    work_on(on_demo_project)

    failed = Run.objects.get(kind="restore")
    run_here(chains.resume(failed.pk, on_workers=False), watcher=Silent())

    assert (contents(on_demo_project), files(on_demo_project)) == before
