"""A restore of one database of several: the others, and the files, stay as they are."""

import json
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connections

from backup_tasks import api
from backup_tasks.engines import engine_for
from backup_tasks.errors import LockNotGranted, Misconfigured
from backup_tasks.models import Run, UndoPoint
from backup_tasks.restore import further_databases, open_package
from backup_tasks.runs import chains, execution, foreground
from edms.documents.models import Document, DocumentType
from tests.integration.several.conftest import Two
from tests.integration.several.test_restore import assert_both, changed

ONE = {"type": "database", "safety": False}


def restore(two: Two, **params: Any) -> Run:
    return api.run_here("restore", {"package": str(two.package), **ONE, **params})


def no_schemas() -> bool:
    return not any(
        "staging" in name
        for alias in ("default", "archive")
        for name in engine_for(alias).schemas()
    )


def test_the_further_database_is_restored_and_undone_and_the_first_stays(two: Two) -> None:
    restores_one(two, "archive")


def test_the_first_database_is_restored_and_undone_and_the_other_stays(two_files: Two) -> None:
    restores_one(two_files, "default")


def restores_one(two: Two, alias: str) -> None:
    api.run_here("backup", {"output": str(two.package)})
    packed, before = two.contents(), changed(two)
    index = ["default", "archive"].index(alias)

    run = restore(two, database=alias)

    found = two.contents()
    assert found[index].tables == packed[index].tables
    assert found[1 - index].tables == before[1 - index].tables
    assert found[0].files == before[0].files
    proven = [name for name, figures in run.report["models"].items() if figures["digest_equal"]]
    assert proven
    assert {name.startswith("archive:") for name in proven} == {alias == "archive"}
    assert no_schemas()
    api.run_here("undo", {})
    assert_both(two.contents(), before)
    api.run_here("undo", {})
    assert two.contents()[index].tables == packed[index].tables
    api.run_here("prune", {})
    assert no_schemas()


def test_a_further_database_that_is_locked_leaves_the_first_as_it_is(
    two_files: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.run_here("backup", {"output": str(two_files.package)})
    whole, before = two_files.contents(), changed(two_files)
    monkeypatch.setattr(execution, "RETRY", execution.Retry(times=0))

    def locked(*arguments: Any) -> None:
        raise LockNotGranted("the tables stayed locked")

    with monkeypatch.context() as patched:
        patched.setattr(further_databases, "_promote", locked)
        with pytest.raises(LockNotGranted) as error:
            restore(two_files, database="archive")
    assert "Replaced are: none; not yet: archive." in error.value.hint
    assert_both(two_files.contents(), before)

    failed = Run.objects.get(kind="restore")
    foreground.run_here(chains.resume(failed.pk, on_workers=False))

    assert two_files.contents()[1].tables == whole[1].tables
    assert two_files.contents()[0] == before[0]


def test_the_files_alone_are_restored_with_several_databases(two_files: Two) -> None:
    api.run_here("backup", {"output": str(two_files.package)})
    packed, before = two_files.contents(), changed(two_files)

    restore(two_files, type="files")

    found = two_files.contents()
    assert [each.tables for each in found] == [each.tables for each in before]
    assert found[0].files == packed[0].files
    assert UndoPoint.objects.get().databases == []
    api.run_here("undo", {})
    assert_both(two_files.contents(), before)


def test_the_first_database_is_merged_and_the_other_stays(two_files: Two) -> None:
    api.run_here("backup", {"output": str(two_files.package)})
    packed = two_files.contents()
    DocumentType.objects.using("archive").update(name="changed")
    Document.objects.using("default").filter(document_number="SOP-0001").delete()
    before = two_files.contents()

    for promote in (False, True):
        assert two_files.contents() == before
        run = restore(two_files, database="default", mode="merge", promote=promote)
        assert run.report["merge"]["models"]["documents.document"]["insert"] == len(
            packed[0].tables["documents_document"]
        ) - len(before[0].tables["documents_document"])

    found = two_files.contents()
    assert len(found[0].tables["documents_document"]) == 5
    assert found[1] == before[1]
    assert no_schemas()


def test_a_selection_of_the_first_database_is_restored(two_files: Two) -> None:
    api.run_here("backup", {"output": str(two_files.package)})
    packed = two_files.contents()
    changed(two_files)
    before = two_files.contents()

    restore(two_files, database="default", include=["documents.document"])

    found = two_files.contents()
    assert found[0].tables["documents_document"] == packed[0].tables["documents_document"]
    assert found[1] == before[1]


ASKED = [
    ({"type": "full", "mode": "merge"}, "a merge of several databases at once"),
    ({"include": ["documents"]}, "a selection of models of several databases at once"),
    ({"exclude": ["documents"]}, "a selection of models of several databases at once"),
    ({"mode": "merge", "database": "archive"}, "a merge of database archive"),
    ({"include": ["documents"], "database": "archive"}, "a selection of models of database"),
    ({"mode": "merge", "objects": ["users.user=ada"]}, "single objects of a package of several"),
    ({"database": "nowhere"}, "database nowhere is none of those"),
    ({"type": "full", "database": "archive"}, "files belong to all"),
]


@pytest.mark.usefixtures("two_files")
@pytest.mark.parametrize(("params", "told"), ASKED, ids=[told for _, told in ASKED])
def test_what_is_not_possible_is_refused_before_anything_is_read(
    params: dict[str, Any], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the run and in its plan, by name, with what to do instead."""
    monkeypatch.setattr(open_package, "fetch", None)
    asked = {**ONE, **params}
    options = {key: value for key, value in asked.items() if key != "safety"}

    with pytest.raises(Misconfigured, match=told) as error:
        api.run_here("restore", asked)

    assert "--type database" in error.value.hint or "archive" in error.value.hint
    assert not Run.objects.exists()
    if asked.get("mode") != "merge":  # whose plan is a run
        with pytest.raises(CommandError, match=told):
            call_command("restore_from_package", dry_run=True, **options)


def plan(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[dict[str, Any], str]:
    """The plan as JSON, and as text."""
    told = []
    for more in (["--json"], []):
        call_command("restore_from_package", "--dry-run", *arguments, *more)
        told.append(capsys.readouterr().out)
    found: dict[str, Any] = json.loads(told[0])["plan"]
    return found, told[1]


def test_the_dry_run_says_for_each_database_what_would_change(
    two_files: Two, capsys: pytest.CaptureFixture[str]
) -> None:
    api.run_here("backup", {"output": str(two_files.package)})
    DocumentType.objects.using("archive").filter(code="SOP").delete()
    Document.objects.using("default").update(title="changed")
    before = two_files.contents()

    found, text = plan(capsys, str(two_files.package))

    models = found["models"]
    kinds = models["archive:documents.documenttype"]
    assert (kinds["then"] - kinds["now"], kinds["equal"]) == (1, False)
    assert models["documents.documenttype"]["equal"]
    assert models["documents.document"] == {"now": 5, "then": 5, "equal": False}
    assert models["archive:documents.document"] == {"now": 0, "then": 0, "equal": True}
    assert found["left_as_they_are"] == []
    assert "archive:documents.documenttype" in text
    assert two_files.contents() == before
    assert no_schemas()

    one, _ = plan(capsys, str(two_files.package), "--type", "database", "--database", "archive")
    assert set(one["models"]) == {name for name in models if name.startswith("archive:")}
    assert set(one["left_as_they_are"]) == set(models) - set(one["models"])


def test_the_dry_run_names_the_database_that_would_refuse_it(two_files: Two) -> None:
    api.run_here("backup", {"output": str(two_files.package)})
    with connections["archive"].cursor() as cursor:
        cursor.execute("ALTER TABLE documents_documenttype DROP COLUMN review_months")
        cursor.execute("DELETE FROM django_migrations WHERE app = 'documents'")

    with pytest.raises(CommandError, match="review_months") as error:
        call_command("restore_from_package", str(two_files.package), dry_run=True)
    assert "migrate --database archive" in str(error.value)
    with pytest.raises(Misconfigured, match="review_months"):
        restore(two_files)
