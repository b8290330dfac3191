"""What a merge does not decide by itself is refused, by name, unless a policy decides it."""

from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django import DjangoDbBlocker

from backup_tasks.models import UndoPoint
from backup_tasks.storage import workspace
from edms.audit.models import AuditEntry
from edms.documents.models import AccessLog, Document, DocumentType, DocumentVersion, Tag
from edms.users.models import User
from tests.acceptance.merging import changes, merge, refusal, rehearse, told, working_on
from tests.integration.rows.transfer import run
from tests.services import EVERY_ENGINE, Project, Templates

decided_alike = pytest.mark.parametrize("made", ["sqlite"], indirect=True)
"""What is decided by statements that another test runs on every engine."""


@pytest.fixture(scope="module", params=EVERY_ENGINE)
def made(
    request: pytest.FixtureRequest, templates: Templates, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Project]:
    """A demonstration, merged with packages of itself: all is there already."""
    project = templates.copy(request.param, tmp_path_factory.mktemp("target"), demo=True)
    yield project
    templates.discard(project)


@pytest.fixture
def target(made: Project, django_db_blocker: DjangoDbBlocker) -> Iterator[Project]:
    """This process works on it. Each test ends with what the package holds."""
    with django_db_blocker.unblock(), working_on(made):
        yield made


@pytest.fixture(scope="module")
def full(
    made: Project, tmp_path_factory: pytest.TempPathFactory, django_db_blocker: DjangoDbBlocker
) -> Path:
    """A package of the target itself."""
    path = tmp_path_factory.mktemp("package") / "full.tar.zst"
    with django_db_blocker.unblock(), working_on(made):
        run("backup", output=str(path))
    return path


@pytest.fixture(scope="module")
def without_users(
    made: Project, tmp_path_factory: pytest.TempPathFactory, django_db_blocker: DjangoDbBlocker
) -> Path:
    path = tmp_path_factory.mktemp("package") / "without.tar.zst"
    with django_db_blocker.unblock(), working_on(made):
        run("backup", output=str(path), include_users=False)
    return path


def test_what_is_the_same_stays_as_it_is(target: Project, full: Path) -> None:
    plan = rehearse(full)

    assert changes(plan) == {}
    assert {figures["only_in_target"] for figures in plan["models"].values()} == {0}
    assert plan["models"]["users.user"]["unchanged"] == 10


def test_the_same_name_with_another_unique_value(target: Project, full: Path) -> None:
    before = told()
    User.objects.filter(username="ada").update(uuid=UUID(int=1), first_name="Augusta")

    error = refusal(full)
    assert "users.user: the same natural key, another uuid (1 rows: ada)" in error.what
    assert error.exit_code == 8
    assert "--on-conflict" in error.hint

    kept = merge(full, on_conflict="target").report["merge"]
    assert kept["models"]["users.user"]["kept"] == 1
    assert User.objects.get(username="ada").first_name == "Augusta"
    merge(full, on_conflict="package")
    assert told() == before


@decided_alike
def test_another_name_with_the_unique_value_of_a_row_of_the_target(
    target: Project, full: Path
) -> None:
    before = told()
    User.objects.filter(username="ada").update(username="augusta")

    assert (
        "users.user: another natural key, but a row of the target has the same uuid (1 rows: ada)"
        in refusal(full).what
    )

    merge(full, on_conflict="target")
    assert not User.objects.filter(username="ada").exists()
    merge(full, on_conflict="package")
    assert told() == before


@decided_alike
def test_a_name_that_can_not_be_printed_is_told_as_an_escape(
    target: Project, tmp_path: Path
) -> None:
    """A plan is printed on terminals, whatever a row is called."""
    package = tmp_path / "escape.tar"
    User.objects.filter(username="ada").update(username="ada\x1b[2J")
    try:
        run("backup", output=str(package))
        User.objects.filter(username="ada\x1b[2J").update(uuid=UUID(int=1))

        (conflict,) = rehearse(package)["models"]["users.user"]["conflicts"]

        assert conflict["examples"] == [r"ada\x1b[2J"]
        merge(package, on_conflict="package")
    finally:
        User.objects.filter(username="ada\x1b[2J").update(username="ada")


@decided_alike
def test_a_file_of_the_same_name_with_other_content(target: Project, full: Path) -> None:
    version = DocumentVersion.objects.first()
    assert version is not None
    path = Path(version.file.path)
    content = path.read_bytes()
    path.write_bytes(b"other")

    error = refusal(full)
    assert version.file.name in error.what
    assert path.read_bytes() == b"other"
    merge(full, on_conflict="target")
    assert path.read_bytes() == b"other"
    path_of_another = Path(DocumentVersion.objects.all()[1].file.path)
    path_of_another.unlink()
    merge(full, on_conflict="package")
    assert path.read_bytes() == content
    assert path_of_another.is_file()


def test_a_package_without_users_finds_them_by_name(target: Project, without_users: Path) -> None:
    """S2, S8: whatever their primary keys."""
    before = told()
    Document.objects.update(title="spoilt")

    merge(without_users)

    assert told() == before


@decided_alike
def test_a_user_that_nobody_has_is_refused_by_name_or_decided(
    target: Project, full: Path, without_users: Path
) -> None:
    """S8, F5: never invented silently."""
    before = told()
    User.objects.filter(username="ada").update(username="augusta")

    error = refusal(without_users)
    assert "users.user ada is in neither" in error.what
    assert "documents.document.author" in error.what

    assert "can't be empty" in refusal(without_users, missing_users="null").what
    assert "has no user nobody" in refusal(without_users, map_users={"ada": "nobody"}).what

    merge(without_users, map_users={"ada": "augusta"})
    User.objects.filter(username="augusta").update(username="ada")
    assert told() == before


@decided_alike
def test_placeholders_stand_for_users_that_nobody_has(
    target: Project, full: Path, without_users: Path
) -> None:
    before = told()
    User.objects.filter(username="ada").update(username="augusta")

    merge(without_users, missing_users="placeholder")

    stands_in = User.objects.get(username="ada")
    assert not stands_in.is_active
    assert not stands_in.has_usable_password()
    assert stands_in.documents_written.exists()
    run("restore", package=str(full), safety=False)
    assert told() == before


@decided_alike
def test_an_undo_says_that_a_merge_can_not_be_undone(target: Project, full: Path) -> None:
    done = run("restore", package=str(full), mode="merge")
    safety = done.steps.get(name="safety").result["package"]

    with pytest.raises(Exception, match=f"restore_from_package {safety}"):
        run("undo")

    UndoPoint.objects.all().delete()
    for run_id in workspace.runs():
        workspace.remove(run_id)


def test_the_number_of_statements_does_not_grow_with_the_rows(
    target: Project, full: Path, tmp_path: Path
) -> None:
    """Set-wise: never a query per row."""
    more = tmp_path / "more.tar"
    made = Tag.objects.bulk_create(Tag(name=f"many {number}") for number in range(2000))
    Document.objects.get(pk=1).tags.add(*made[:500])
    run("backup", output=str(more), type="database")
    Tag.objects.filter(name__startswith="many").delete()

    with CaptureQueriesContext(connection) as few:
        merge(full, type="database")
    with CaptureQueriesContext(connection) as many:
        merge(more, type="database")

    assert Tag.objects.filter(name__startswith="many").count() == 2000
    assert len(many) == len(few)
    Tag.objects.filter(name__startswith="many").delete()


def test_a_reference_to_what_was_gone_does_not_lead_to_a_new_row(
    target: Project, tmp_path: Path
) -> None:
    """T12, T1: a number that is referred to, and that another row has or would get."""
    package = tmp_path / "gone.tar"
    author = User.objects.get(username="ada")
    kind = DocumentType.objects.get(code="SOP")
    number = 1 + max(Document.objects.values_list("pk", flat=True))
    log = AccessLog.objects.create(document_id=number, user=author, action="view")
    run("backup", output=str(package), type="database")
    # Given: the number belongs to a document of the target's own
    values = {"title": "own", "author": author, "document_type": kind}
    Document.objects.create(pk=number, document_number="OWN", **values)
    AccessLog.objects.filter(pk=log.pk).delete()

    done = merge(package, type="database")

    assert AccessLog.objects.get(event_id=log.event_id).document_id == -number
    assert any("did not exist" in warning for warning in done.report["warnings"])
    assert changes(merge(package, type="database").report["merge"]) == {}

    # And: a document of the package whose number something of the target still refers to
    run("backup", output=str(tmp_path / "with.tar"), type="database")
    Document.objects.filter(document_number="OWN").delete()
    AccessLog.objects.filter(event_id=log.event_id).update(document_id=number)
    merge(tmp_path / "with.tar", type="database")
    assert Document.objects.get(document_number="OWN").pk != number
    Document.objects.filter(document_number="OWN").delete()
    AccessLog.objects.filter(event_id=log.event_id).delete()
    AuditEntry.objects.filter(object_name__startswith="OWN").delete()


def test_a_merge_that_is_not_what_it_was_to_be_is_rolled_back(target: Project, full: Path) -> None:
    """A trigger of the database's changes what is written: exit code 7."""
    Tag.objects.all()[0].delete()
    with connection.cursor() as cursor:
        for sql in TRIGGER[connection.vendor]:
            cursor.execute(sql)

    try:
        error = refusal(full, type="database")
    finally:
        with connection.cursor() as cursor:
            table = " ON documents_tag" if connection.vendor == "postgresql" else ""
            cursor.execute(f"DROP TRIGGER shout{table}")

    assert error.exit_code == 7
    assert "documents.tag" in error.what
    merge(full, type="database")


TRIGGER = {
    "sqlite": [
        """CREATE TRIGGER shout AFTER INSERT ON documents_tag BEGIN
           UPDATE documents_tag SET name = upper(name) WHERE id = NEW.id; END""",
    ],
    "postgresql": [
        """CREATE FUNCTION shout() RETURNS trigger LANGUAGE plpgsql AS
           'BEGIN NEW.name = upper(NEW.name); RETURN NEW; END'""",
        """CREATE TRIGGER shout BEFORE INSERT ON documents_tag
           FOR EACH ROW EXECUTE FUNCTION shout()""",
    ],
    "mysql": [
        """CREATE TRIGGER shout BEFORE INSERT ON documents_tag
           FOR EACH ROW SET NEW.name = upper(NEW.name)""",
    ],
}
