"""A backup of a live that is half replaced fails; its package is kept, and never the last good."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from pytest_django import Settings

from backup_tasks import api, moments
from backup_tasks.backup.dump import dump_rows
from backup_tasks.errors import HalfReplaced, PackageNotFound
from backup_tasks.models import Run, UndoPoint
from backup_tasks.storage import expiry, last_good
from edms.documents.models import DocumentType
from tests.integration.several.conftest import Two

pytestmark = pytest.mark.usefixtures("two_files")

NOT_DONE = {
    "alias": "archive",
    "source": "staging",
    "schema": "undo",
    "tables": [],
    "apps": [],
    "done": False,
}


@pytest.fixture
def alone(two_files: Two, settings: Settings) -> None:
    """The first database is the only one that is backed up."""
    settings.BACKUP = {**settings.BACKUP, "DATABASES": ["default"]}


@pytest.fixture
def promoted() -> Callable[..., UndoPoint]:
    """Call it to let a restore have promoted the first database, and died."""
    number = iter(range(100))

    def promote(**values: Any) -> UndoPoint:
        run = Run.objects.create(id=f"restore-{next(number)}", kind="restore", state="failed")
        expires_at = moments.now() + timedelta(days=1)
        point = {"storages": ["default"], "schema": f"undo_{run.pk}", "expires_at": expires_at}
        return UndoPoint.objects.create(run=run, **{**point, **values})

    return promote


def backup(**params: Any) -> Run:
    return api.run_here("backup", params)


@pytest.mark.parametrize("params", [{}, {"type": "database"}, {"accept_missing_files": True}])
def test_its_package_is_kept_and_marked_and_its_run_fails_with_the_remedy(
    promoted: Callable[..., UndoPoint], params: dict[str, Any]
) -> None:
    point = promoted(databases=[NOT_DONE])

    with pytest.raises(HalfReplaced, match=f"live was half replaced by {point.pk}") as error:
        backup(**params)

    assert f"resume_run {point.pk}" in error.value.hint
    assert "undo_restore --confirm" in error.value.hint
    (kept,) = last_good.survey()
    assert kept.incomplete == error.value.what
    assert kept.standing.failure is None  # it is what it says; it is no backup
    assert kept.standing.verified_at


def test_it_is_never_the_newest_and_takes_no_slot(promoted: Callable[..., UndoPoint]) -> None:
    backup()
    good = last_good.find("").sidecar.name
    point = promoted(databases=[NOT_DONE])
    with pytest.raises(HalfReplaced):
        backup()

    assert last_good.find("").sidecar.name == good
    decided = {each["name"]: each["why"] for each in packages()}
    assert "incomplete" not in decided.pop(good)
    (why,) = decided.values()
    assert "it is incomplete" in why

    point.files_done = True
    point.databases = [{**NOT_DONE, "done": True}]
    point.save()
    newest = backup().package
    assert last_good.find("").sidecar.name == newest


def packages() -> list[Any]:
    found: list[Any] = expiry.expire(
        run_id="", dry=True, still_mine=lambda: None, deleting=lambda candidate: None
    )["packages"]
    return found


def test_a_project_that_has_no_other_backup_has_none(promoted: Callable[..., UndoPoint]) -> None:
    promoted(databases=[NOT_DONE])
    with pytest.raises(HalfReplaced):
        backup()

    with pytest.raises(PackageNotFound, match="half replaced"):
        last_good.find("")


@pytest.mark.usefixtures("alone")
def test_the_rows_of_one_database_are_never_half_replaced(
    promoted: Callable[..., UndoPoint],
) -> None:
    """One transaction replaced them, and one snapshot reads them; files are another thing."""
    promoted()

    backup(type="database")
    for kind in ("full", "files"):
        with pytest.raises(HalfReplaced):
            backup(type=kind)


@pytest.mark.usefixtures("alone")
def test_a_restore_of_rows_alone_halves_nothing_of_one_database(
    promoted: Callable[..., UndoPoint],
) -> None:
    promoted(storages=[])

    assert backup().state == Run.State.SUCCEEDED


@pytest.mark.parametrize("ended", [False, True])
def test_what_is_replaced_between_the_rows_and_the_files_is_noticed(
    promoted: Callable[..., UndoPoint], monkeypatch: pytest.MonkeyPatch, *, ended: bool
) -> None:
    """Also if the other run has ended well by then: the rows are the old ones, the files new."""

    def and_then_replaced(*arguments: Any, **named: Any) -> Any:
        done = dump_rows(*arguments, **named)
        promoted(files_done=ended)
        return done

    monkeypatch.setattr("backup_tasks.steps.dump.dump_rows", and_then_replaced)

    with pytest.raises(HalfReplaced, match="restore-0"):
        backup()


def test_a_restore_that_mends_it_has_its_safety_backup(
    two_files: Two, promoted: Callable[..., UndoPoint]
) -> None:
    backup(output=str(two_files.package))
    whole = two_files.contents()
    DocumentType.objects.using("archive").update(name="changed")
    promoted(databases=[NOT_DONE])

    run = api.run_here("restore", {"package": str(two_files.package)})

    assert two_files.contents() == whole
    assert "live was half replaced" in str(run.report["warnings"])
    safety = run.steps.get(name="safety").result["package"]
    api.run_here("restore", {"package": safety, "safety": False})
    assert {each.name for each in DocumentType.objects.using("archive").all()} == {"changed"}
