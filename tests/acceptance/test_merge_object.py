"""One object comes back out of a package, with what it needs and nothing else."""

from pathlib import Path
from typing import Any

import pytest

from backup_tasks.errors import DoesNotFit, Misconfigured
from backup_tasks.models import Run
from backup_tasks.restore.looking import looking_into
from backup_tasks.restore.packaged_rows import PackagedRows
from edms.audit.models import AuditEntry
from edms.documents.models import (
    Document,
    DocumentType,
    DocumentVersion,
    ExternalDocument,
    Tag,
)
from edms.users.models import Role, User, UserRole
from tests.acceptance.merging import changes, merge, rehearse
from tests.integration.rows.transfer import run
from tests.services import Project

pytestmark = pytest.mark.parametrize("engine", ["sqlite"])

LOST = "SOP-900"
OBJECT = {"objects": [f"documents.Document={LOST}"]}


@pytest.fixture
def package(on_demo_project: Project, tmp_path: Path) -> Path:
    """A package with a document that live has lost since, and more that has changed."""
    kind, author = DocumentType.objects.all()[0], User.objects.create(username="writer")
    role = Role.objects.all()[0]
    UserRole.objects.create(user=author, role=role)
    standard = ExternalDocument.objects.create(
        document_number=LOST,
        title="Lost",
        document_type=kind,
        author=author,
        publisher="ISO",
        supersedes=Document.objects.order_by("pk").first(),
    )
    standard.tags.set([Tag.objects.create(name="kept"), Tag.objects.create(name="gone")])
    other = Document.objects.create(
        document_number="SOP-901", title="Lost too", document_type=kind, author=author
    )
    path = tmp_path / "before.tar.zst"
    run("backup", output=str(path))
    standard.tags.clear()
    standard.delete()
    other.delete()
    Tag.objects.filter(name="gone").delete()
    Document.objects.filter(pk=standard.supersedes_id).update(title="Edited since")
    UserRole.objects.filter(user=author).delete()
    DocumentType.objects.filter(pk=kind.pk).update(name="Renamed since")
    User.objects.filter(pk=author.pk).update(first_name="Edited since")
    return path


def told() -> dict[str, Any]:
    return {
        "documents": set(Document.objects.values_list("document_number", flat=True)),
        "versions": DocumentVersion.objects.count(),
        "roles": UserRole.objects.count(),
        "titles": set(Document.objects.exclude(document_number=LOST).values_list("title")),
        "users": set(User.objects.values_list("username", "first_name")),
        "types": set(DocumentType.objects.values_list("name", flat=True)),
    }


def test_the_object_is_back_whole_and_live_keeps_what_it_refers_to(package: Path) -> None:
    before = told()
    plan = rehearse(package, **OBJECT)
    assert told() == before
    assert changes(plan) == {
        "documents.document": (1, 0),
        "documents.document_tags": (2, 0),
        "documents.externaldocument": (1, 0),
        "documents.tag": (1, 0),
    }
    assert plan["refused"] == []

    done = merge(package, **OBJECT)

    back = ExternalDocument.objects.get(document_number=LOST)
    assert (back.title, back.publisher, back.author.username) == ("Lost", "ISO", "writer")
    assert {tag.name for tag in back.tags.all()} == {"kept", "gone"}
    assert told() == {**before, "documents": before["documents"] | {LOST}}
    assert done.state == Run.State.SUCCEEDED


def test_who_comes_back_because_the_object_refers_to_him_has_no_roles(package: Path) -> None:
    User.objects.get(username="writer").delete()
    plan = rehearse(package, **OBJECT)
    assert plan["models"]["users.user"]["insert"] == 1

    merge(package, **OBJECT)

    writer = User.objects.get(username="writer")
    assert not UserRole.objects.filter(user=writer).exists()


@pytest.mark.parametrize(
    ("objects", "params", "error", "said"),
    [
        (["documents.Document=SOP-000"], {}, DoesNotFit, "holds no objects"),
        (["documents.Nothing=SOP-900"], {}, DoesNotFit, "holds no such model"),
        (["documents.Document"], {}, Misconfigured, "names no object"),
        ([f"documents.Document={LOST}"], {"include": ["documents"]}, Misconfigured, "Say one"),
        ([f"documents.Document={LOST}"], {"mode": "exact"}, Misconfigured, "can be merged"),
    ],
)
def test_what_names_no_object_is_refused(
    package: Path, objects: list[str], params: dict[str, Any], error: type[Exception], said: str
) -> None:
    before = told()
    asked = {"mode": "merge", "safety": False, "objects": objects, **params}
    with pytest.raises(error, match=said):
        run("restore", package=str(package), **asked)
    assert told() == before


def test_an_object_with_a_generic_key_leads_to_what_it_did(package: Path, tmp_path: Path) -> None:
    entry = AuditEntry.objects.filter(object_id__isnull=False).order_by("pk")[0]
    key = looked_up(package, "audit.auditentry", entry.pk)
    AuditEntry.objects.all().delete()
    made_since = set(AuditEntry.objects.values_list("pk", flat=True))

    merge(package, objects=[f"audit.AuditEntry={key}"])

    back = AuditEntry.objects.exclude(pk__in=made_since).get()
    assert (back.object_id, back.content_type_id) == (entry.object_id, entry.content_type_id)


def looked_up(package: Path, model: str, pk: object) -> str:
    """Return the key of a row of the package."""
    with looking_into(str(package), params={}) as looking:
        manifest, entry = looking.model(model)
        rows = PackagedRows(manifest, entry).rows(looking.lines(entry))
        return next(row.key for row in rows if row.pk == str(pk))
