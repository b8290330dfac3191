"""Some of the models, from a package of all or in one of their own: the rest stays as it is."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from backup_tasks.errors import BackupError, DoesNotFit, Misconfigured, ValidationFailed
from backup_tasks.package.manifest import Manifest
from backup_tasks.package.reader import unpack
from edms.documents.models import Document, DocumentVersion, Tag
from edms.notices.models import Notification
from edms.users.models import User
from edms.workflows.models import DocumentWorkflow
from tests.acceptance.contents import Contents, contents, files
from tests.acceptance.crafting import ignore
from tests.integration.rows.transfer import run
from tests.services import Project

ONCE = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
"""What does not depend on the database."""
DOCUMENTS = {"include": ["documents"], "exclude": ["users", "workflows"]}


@pytest.fixture
def package(on_demo_project: Project, tmp_path: Path) -> Path:
    """A package of everything."""
    run("backup", output=str(tmp_path / "all.tar"))
    return tmp_path / "all.tar"


def restore(package: Path, **params: Any) -> Any:
    return run("restore", package=str(package), safety=False, **params)


def refused(project: Project, error: type[BackupError], work: Callable[[], Any]) -> BackupError:
    """It must be refused, and live stays."""
    before = contents(project)
    with pytest.raises(error) as caught:
        work()
    assert contents(project) == before
    return caught.value


def tables(held: Contents, *prefixes: str) -> dict[str, list[str]]:
    return {name: rows for name, rows in held.tables.items() if name.startswith(prefixes)}


def manifest_of(package: Path, folder: Path) -> Manifest:
    return unpack(package, folder, identities=(), progress=ignore)


def work_on(project: Project) -> str:
    """What people do after the backup: in documents, and elsewhere. Returns a document's file."""
    Document.objects.update(title="spoilt")
    Tag.objects.create(name="since")
    User.objects.filter(username="ada").update(first_name="Augusta")
    Notification.objects.all().delete()
    spoilt = str(DocumentVersion.objects.first().file)  # type: ignore[union-attr]  # there are some
    (project.media / spoilt).write_bytes(b"spoilt")
    (project.media / "since.txt").write_text("of nobody in the package")
    return spoilt


def test_a_part_of_a_package_is_restored_and_the_rest_stays_bit_for_bit(
    on_demo_project: Project, package: Path
) -> None:
    project = on_demo_project
    then = contents(project)
    spoilt = work_on(project)
    now = contents(project)

    done = restore(package, **DOCUMENTS)

    after = contents(project)
    rest = tuple(name for name in now.tables if not name.startswith("documents_"))
    assert tables(after, "documents_") == tables(then, "documents_")
    assert tables(after, *rest) == tables(now, *rest)
    assert after.structure == now.structure
    assert after.files == {**now.files, spoilt: then.files[spoilt]}
    assert done.report["models"]["documents.document"]["digest_equal"] is True
    assert done.report["models"]["users.user"]["digest_equal"] is None  # nothing is claimed of it

    run("undo")

    assert contents(project) == now


def test_rows_whose_users_are_gone_are_refused(on_demo_project: Project, package: Path) -> None:
    """S8, F5: documents without users fit only where every user that they refer to still is."""
    run("reinit", safety=False)

    error = refused(
        on_demo_project, ValidationFailed, lambda: restore(package, **DOCUMENTS, type="database")
    )

    assert "author" in error.what


def test_a_part_whose_loss_would_leave_other_rows_dangling_is_refused(
    on_demo_project: Project, package: Path
) -> None:
    """A workflow of a document that came after the backup."""
    workflow = DocumentWorkflow.objects.select_related("document").first()
    assert workflow is not None
    later = workflow.document
    later.pk, later.document_number = None, "SOP-2099-0001"
    later.save()
    workflow.pk, workflow.document = None, later
    workflow.save()

    error = refused(
        on_demo_project, BackupError, lambda: restore(package, **DOCUMENTS, type="database")
    )

    assert isinstance(error, DoesNotFit | ValidationFailed)  # at promote, or when staging is whole
    assert "workflows_documentworkflow" in error.what


def test_a_part_whose_keys_mean_other_rows_in_live_is_refused(
    on_demo_project: Project, package: Path
) -> None:
    """T1: the key resolves, every count is right, and yet the documents would be another's."""
    User.objects.filter(username="ada").update(username="eve")

    error = refused(on_demo_project, ValidationFailed, lambda: restore(package, include=["users"]))

    assert "is ada in the package, eve in live" in error.what
    assert "documents.document" in error.what


def test_a_package_of_a_part_says_what_it_holds_and_restores_beside_the_rest(
    on_demo_project: Project, tmp_path: Path
) -> None:
    project, package = on_demo_project, tmp_path / "part.tar"
    then = contents(project)
    made = run("backup", output=str(package), include=["documents.tag", "users.department"])
    manifest = manifest_of(package, tmp_path / "unpacked")
    work_on(project)
    now = contents(project)

    restore(package)

    assert made.report["added"] == {}
    assert manifest.type == "partial"
    assert {entry.label for entry in manifest.models} == {"documents.tag", "users.department"}
    reasons = {entry.label: entry.reason for entry in manifest.excluded}
    assert reasons["documents.document"] == "left out by --include"
    assert manifest.totals.files == 0  # no row of it has a file
    assert contents(project).tables == {**now.tables, **tables(then, "documents_tag")}
    assert files(project) == now.files


def test_the_files_of_a_part_are_those_that_its_rows_refer_to(
    on_demo_project: Project, tmp_path: Path
) -> None:
    project, package = on_demo_project, tmp_path / "part.tar"
    (project.media / "nobodys.txt").write_text("no row refers to it")
    then = files(project)
    run("backup", output=str(package), exclude=["notices"])
    manifest = manifest_of(package, tmp_path / "unpacked")
    spoilt = work_on(project)

    done = restore(package, type="files")

    assert done.report["second_look"] is None
    assert manifest.totals.files == len(then) - 1
    assert files(project) == {**then, "since.txt": b"of nobody in the package"}
    assert spoilt in then


@ONCE
def test_a_package_that_can_not_stand_alone_is_not_made(
    on_demo_project: Project, tmp_path: Path
) -> None:
    package = tmp_path / "part.tar"
    with pytest.raises(DoesNotFit, match=r"documents.document.author \(users.user\)"):
        run("backup", output=str(package), exclude=["users"])
    assert not package.exists()


@ONCE
@pytest.mark.parametrize(
    ("kind", "params", "named"),
    [
        ("backup", {}, "--include and --exclude name models"),
        ("restore", {"safety": False}, "--include, --exclude and --object name rows"),
    ],
)
def test_models_can_not_be_chosen_where_none_are_written(
    on_demo_project: Project, package: Path, kind: str, params: dict[str, Any], named: str
) -> None:
    if params:
        params = {**params, "package": str(package)}
    with pytest.raises(Misconfigured, match=named):
        run(kind, type="files", include=["documents"], **params)


@ONCE
def test_a_dry_run_shows_what_is_added_and_why_and_what_stays(
    on_demo_project: Project, package: Path
) -> None:
    options = ["--include", "workflows", "--exclude", "users", "--dry-run"]
    told, text = io.StringIO(), io.StringIO()

    call_command("restore_from_package", str(package), *options, "--json", stdout=told)
    call_command("restore_from_package", str(package), *options, stdout=text)

    plan = json.loads(told.getvalue())["plan"]
    why = "workflows.documentworkflow.document refers to documents.document"
    assert plan["added"] == {}
    assert plan["referred"]["documents.document"] == {"why": why, "equal": True}
    assert {"users.user", "documents.document"} <= set(plan["left_as_they_are"])
    assert set(plan["models"]) & {"users.user", "documents.document"} == set()
    assert f"documents.document stays as it is: {why}; equal: yes" in text.getvalue()

    told.truncate(0)
    options = [*options, "--replace-referenced"]
    call_command("restore_from_package", str(package), *options, "--json", stdout=told)
    plan = json.loads(told.getvalue().strip("\0"))["plan"]
    assert plan["added"]["documents.document"] == why
    assert plan["referred"] == {}


@ONCE
@pytest.mark.parametrize("replaced", [False, True])
def test_what_was_edited_since_stays_where_a_selection_only_refers_to_it(
    on_demo_project: Project, package: Path, *, replaced: bool
) -> None:
    project = on_demo_project
    then = contents(project)
    work_on(project)
    now = contents(project)

    restore(package, include=["notices"], replace_referenced=replaced, type="database")

    after = contents(project)
    assert tables(after, "notices_") == tables(then, "notices_") != tables(now, "notices_")
    expected = then if replaced else now
    assert tables(after, "users_user") == tables(expected, "users_user")
