"""What people write while a restore is built: foretold, counted, reported, and kept."""

import io
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from backup_tasks.restore.plan import plan_restore
from backup_tasks.runs import execution
from backup_tasks.steps import Work
from backup_tasks.steps.load import load
from edms.documents.models import Document, Tag
from tests.acceptance.contents import contents
from tests.integration.rows.transfer import run
from tests.services import Project


@pytest.fixture
def package(on_demo_project: Project, tmp_path: Path) -> str:
    run("backup", output=str(tmp_path / "all.tar"))
    return str(tmp_path / "all.tar")


def work_on() -> None:
    Tag.objects.create(name="concurrent_writes")
    document = Document.objects.get(document_number="SOP-2026-0001")
    Document.objects.filter(pk=document.pk).update(title="changed meanwhile")


def test_what_was_written_while_the_restore_was_built_is_reported_and_kept_for_undo(
    on_demo_project: Project, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tags = Tag.objects.count()

    def slow(work: Work) -> Any:
        work_on()
        return load(work)

    monkeypatch.setitem(execution.VERBS, "load", slow)
    done = run("restore", package=package)

    assert done.report["concurrent_writes"] == {
        "documents.document": {"backed_up": 5, "replaced": 5},
        "documents.tag": {"backed_up": tags, "replaced": tags + 1},
    }
    (warning,) = [line for line in done.report["warnings"] if "while the restore was built" in line]
    assert "documents.document (rows changed), documents.tag (+1 rows)" in warning
    assert "safety" in warning
    assert "undo_restore" in warning
    assert not Tag.objects.filter(name="concurrent_writes").exists()

    run("undo")

    assert Tag.objects.filter(name="concurrent_writes").exists()
    assert Document.objects.filter(title="changed meanwhile").count() == 1


def test_nothing_is_reported_where_nothing_was_written(
    on_demo_project: Project, package: str
) -> None:
    work_on()  # before the safety backup, which holds it

    done = run("restore", package=package)

    assert done.report["concurrent_writes"] == {}
    assert not [line for line in done.report["warnings"] if "written" in line]


def test_a_part_that_leads_out_of_itself_is_counted(
    on_demo_project: Project, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its old rows are kept without those that they refer to: no digest can be made of them."""
    tags = Tag.objects.count()

    def slow(work: Work) -> Any:
        Tag.objects.create(name="concurrent_writes")
        return load(work)

    monkeypatch.setitem(execution.VERBS, "load", slow)
    done = run("restore", package=package, include=["documents"], exclude=["users", "workflows"])

    assert done.report["concurrent_writes"] == {
        "documents.tag": {"backed_up": tags, "replaced": tags + 1}
    }


def test_a_dry_run_tells_before_anybody_confirms_what_is_newer_than_the_package(
    on_demo_project: Project, package: str
) -> None:
    before = contents(on_demo_project)
    params = {"package": package, "type": "full", "safety": True}
    assert all(model["equal"] for model in plan_restore(params)["models"].values())
    assert contents(on_demo_project) == before
    work_on()
    told = io.StringIO()

    call_command("restore_from_package", package, "--dry-run", stdout=told)

    plan = plan_restore(params)
    assert {name for name, model in plan["models"].items() if not model["equal"]} >= {
        "documents.document",
        "documents.tag",
    }
    (warning,) = [line for line in plan["warnings"] if "live has rows" in line]
    assert "documents.tag +1" in warning
    assert "the safety backup will hold them" in warning
    assert warning in told.getvalue()
    assert ["documents.document", "5", "5", "no"] in [
        line.split() for line in told.getvalue().splitlines()
    ]
