"""Restores, resets and undos of several databases, also where a run ends between two promotes."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from backup_tasks import api
from backup_tasks.engines import engine_for
from backup_tasks.errors import (
    BackupError,
    Cancelled,
    HalfReplaced,
    LockNotGranted,
)
from backup_tasks.models import Run, UndoPoint
from backup_tasks.restore import further_databases
from backup_tasks.runs import chains, execution, foreground
from backup_tasks.steps import Work
from edms.documents.models import Document, DocumentType
from tests.acceptance.contents import Contents
from tests.acceptance.every_command import assert_equal
from tests.integration.several.conftest import Two

Both = tuple[Contents, Contents]


def assert_both(found: Both, expected: Both) -> None:
    for one, other in zip(found, expected, strict=True):
        assert_equal(one, other)


def changed(two: Two) -> Both:
    """Change rows in both databases, and the files; return what is there then."""
    Document.objects.using("default").update(title="changed")
    DocumentType.objects.using("archive").update(name="changed")
    (two.first.media / "more.txt").write_text("more")
    return two.contents()


def no_schemas() -> bool:
    return all(
        not [name for name in engine_for(alias).schemas() if "staging" in name]
        for alias in ("default", "archive")
    )


def restore(two: Two) -> Run:
    return api.run_here("restore", {"package": str(two.package), "safety": False})


@pytest.fixture
def packed(two_files: Two) -> tuple[Two, Both]:
    """A project of two files with a package, and what the package holds."""
    api.run_here("backup", {"output": str(two_files.package)})
    return two_files, two_files.contents()


def test_a_restore_and_its_undo_replace_each_database(two: Two) -> None:
    api.run_here("backup", {"output": str(two.package)})
    packed, before = two.contents(), changed(two)

    run = api.run_here("restore", {"package": str(two.package)})

    assert_both(two.contents(), packed)
    assert run.report["models"]["archive:documents.documenttype"]["digest_equal"]
    assert no_schemas()
    api.run_here("undo", {})
    assert_both(two.contents(), before)
    api.run_here("undo", {})
    assert_both(two.contents(), packed)
    assert no_schemas()
    api.run_here("prune", {})
    assert_both(two.contents(), packed)


def test_a_reset_resets_each_database(packed: tuple[Two, Both]) -> None:
    two, before = packed

    run = api.run_here("reinit", {})

    assert Document.objects.using("default").count() == 0
    safety = run.steps.get(name="safety").result["package"]
    api.run_here("restore", {"package": safety})
    assert_both(two.contents(), before)


def test_rows_written_to_the_further_database_meanwhile_are_named(
    packed: tuple[Two, Both], monkeypatch: pytest.MonkeyPatch
) -> None:
    two, _ = packed
    done = further_databases.of_staging

    def write(*arguments: Any) -> Any:
        DocumentType.objects.using("archive").update(name="meanwhile")
        return done(*arguments)

    monkeypatch.setattr(further_databases, "of_staging", write)
    run = api.run_here("restore", {"package": str(two.package)})

    assert "archive:documents.documenttype" in run.report["concurrent_writes"]


Stop = Callable[[str], None]


@pytest.fixture
def stop(monkeypatch: pytest.MonkeyPatch) -> Stop:
    """Call it to let the process end at this point of the further promote, once."""

    def at(point: str) -> None:
        original = getattr(further_databases, point)

        def ending(*arguments: Any) -> Any:
            monkeypatch.setattr(further_databases, point, original)
            raise KeyboardInterrupt

        monkeypatch.setattr(further_databases, point, ending)

    return at


POINTS = ["_promote", "_enter"]
"""Before the further promote, and after its commit, before it is entered."""


@pytest.mark.parametrize("point", POINTS)
def test_a_restore_that_ends_between_two_promotes_is_finished(
    packed: tuple[Two, Both], stop: Stop, point: str
) -> None:
    two, whole = packed
    changed(two)
    stop(point)
    with pytest.raises((KeyboardInterrupt, Cancelled)):
        restore(two)
    failed = Run.objects.get(kind="restore")
    assert further_databases.is_unfinished(UndoPoint.objects.get(pk=failed.pk))

    with pytest.raises(HalfReplaced, match=f"half replaced by {failed.pk}"):
        api.run_here("backup", {})
    api.run_here("prune", {})
    foreground.run_here(chains.resume(failed.pk, on_workers=False))

    assert_both(two.contents(), whole)
    assert no_schemas()


@pytest.mark.parametrize("point", POINTS)
def test_a_restore_that_ends_between_two_promotes_is_undone_as_a_whole(
    packed: tuple[Two, Both], stop: Stop, point: str
) -> None:
    two, _ = packed
    before = changed(two)
    stop(point)
    with pytest.raises((KeyboardInterrupt, Cancelled)):
        restore(two)
    failed = Run.objects.get(kind="restore")

    api.run_here("undo", {})

    assert_both(two.contents(), before)
    assert no_schemas()
    with pytest.raises(BackupError):
        foreground.run_here(chains.resume(failed.pk, on_workers=False))
    assert_both(two.contents(), before)


@pytest.mark.parametrize("point", POINTS)
def test_an_undo_that_ends_between_two_promotes_is_finished(
    packed: tuple[Two, Both], stop: Stop, point: str
) -> None:
    two, _ = packed
    before = changed(two)
    restore(two)
    stop(point)
    with pytest.raises((KeyboardInterrupt, Cancelled)):
        api.run_here("undo", {})

    foreground.run_here(chains.resume(Run.objects.get(kind="undo").pk, on_workers=False))

    assert_both(two.contents(), before)
    assert no_schemas()


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """Another program writes to the file and does not end."""
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


def test_a_further_database_that_is_locked_leaves_two_ways(
    packed: tuple[Two, Both], monkeypatch: pytest.MonkeyPatch
) -> None:
    two, whole = packed
    before = changed(two)
    monkeypatch.setattr(execution, "RETRY", execution.Retry(times=0))
    promote = further_databases.promote

    def while_locked(*arguments: Any) -> None:
        with locked(two.archive.database):
            promote(*arguments)

    monkeypatch.setattr(further_databases, "promote", while_locked)
    with pytest.raises(LockNotGranted, match="database archive") as error:
        restore(two)
    monkeypatch.setattr(further_databases, "promote", promote)
    failed = Run.objects.get(kind="restore")
    assert f"resume_run {failed.pk}" in error.value.hint
    assert "undo_restore" in error.value.hint
    assert "Replaced are: default; not yet: archive." in error.value.hint

    foreground.run_here(chains.resume(failed.pk, on_workers=False))
    assert_both(two.contents(), whole)
    api.run_here("undo", {})
    assert_both(two.contents(), before)


def test_a_further_database_that_could_not_be_promoted_stops_the_first(
    packed: tuple[Two, Both], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A promote of each is rehearsed before the first."""
    two, _ = packed
    before = changed(two)
    promote = execution.verb_of("promote")

    def without_staging(work: Work) -> dict[str, Any]:
        engine = engine_for("archive")
        engine.discard(engine.schema_name("staging", work.run_id))
        return promote(work)

    monkeypatch.setitem(execution.VERBS, "promote", without_staging)

    with pytest.raises(BackupError, match="archive"):
        restore(two)

    assert_both(two.contents(), before)
