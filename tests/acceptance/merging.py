"""What a test of merges needs: a target with rows of its own, and what a project tells of its rows
by name, whatever their primary keys."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.contrib.contenttypes.models import ContentType
from django.core.files.base import ContentFile

from backup_tasks.errors import BackupError
from backup_tasks.models import Run
from edms.audit.models import AuditEntry
from edms.documents.models import AccessLog, Document, DocumentType, Tag
from edms.users.models import Department, Role, User, UserRole
from tests.integration.rows.transfer import of_project, run
from tests.services import Project, as_default_database

Story = dict[str, dict[str, Any]]


@contextmanager
def working_on(project: Project) -> Iterator[None]:
    """Let this process work on the project's database and files."""
    with of_project(project), as_default_database(project):
        ContentType.objects.clear_cache()
        yield
    ContentType.objects.clear_cache()


def merge(package: Path, **params: Any) -> Run:
    """Merge without a safety backup; return the run."""
    return run("restore", package=str(package), mode="merge", safety=False, **params)


def rehearse(package: Path, **params: Any) -> Mapping[str, Any]:
    """Return the plan of a merge."""
    plan: Mapping[str, Any] = merge(package, promote=False, **params).report["merge"]
    return plan


def refusal(package: Path, **params: Any) -> BackupError:
    """Merge; return the error. Live must be as it was, to the last row."""
    before = told()
    with pytest.raises(BackupError) as raised:
        merge(package, **params)
    assert told() == before
    return raised.value


def changes(plan: Mapping[str, Any]) -> dict[str, tuple[int, int]]:
    """Return what a plan inserts and updates, by model, where it does."""
    return {
        label: (figures["insert"], figures["update"])
        for label, figures in plan["models"].items()
        if figures["insert"] or figures["update"]
    }


def told() -> Story:
    """Tell who and what there is, each by its natural key, and what it refers to by theirs."""
    return {
        "users": {
            user.username: (
                user.uuid,
                user.manager and user.manager.username,
                sorted(user.groups.values_list("name", flat=True)),
            )
            for user in User.objects.select_related("manager")
        },
        "roles": {
            (given.user.username, given.role.name): given.assigned_by and given.assigned_by.username
            for given in UserRole.objects.select_related("user", "role", "assigned_by")
        },
        "documents": {
            document.document_number: (
                document.title,
                document.author.username,
                document.document_type.code,
                document.supersedes and document.supersedes.document_number,
                sorted(tag.name for tag in document.tags.all()),
                sorted(
                    (version.number, version.sha256, Path(version.file.path).read_bytes())
                    for version in document.versions.all()
                ),
            )
            for document in Document.objects.prefetch_related("tags", "versions")
        },
        "audit": {
            entry.event_id: (
                entry.object_name,
                str(entry.target),
                entry.actor_id and str(entry.actor),
            )
            for entry in AuditEntry.objects.all()
        },
        "access": {
            entry.event_id: (
                User.objects.filter(pk=entry.user_id).values_list("username").first(),
                Document.objects.filter(pk=entry.document_id)
                .values_list("document_number")
                .first(),
            )
            for entry in AccessLog.objects.all()
        },
    }


def work_of_its_own() -> None:
    """Fill an EDMS with other rows than the demonstration's, under the same primary keys, and with
    some that have the same natural keys under others."""
    for name in ("own one", "own two", "gmp"):
        Tag.objects.create(name=name)
    Department.objects.create(code="OWN", name="Own")
    people = [User.objects.create(username=name) for name in ("zoe", "yan", "xia")]
    for person in people:
        UserRole.objects.create(user=person, role=Role.objects.get(name="Reader"))
    kind = DocumentType.objects.get(code="SOP")
    for number in range(1, 4):
        document = Document.objects.create(
            document_number=f"OWN-{number}",
            title=f"Own {number}",
            author=people[0],
            document_type=kind,
            state_id="draft",
        )
        document.tags.set(Tag.objects.filter(name__startswith="own"))
        document.versions.create(
            file=ContentFile(b"own", name=f"own-{number}.txt"),
            size=3,
            sha256="own",
            uploaded_by=people[0],
        )
        AccessLog.objects.create(
            event_id=UUID(int=number), document=document, user=people[1], action="view"
        )
        AuditEntry.objects.get_or_create(
            event_id=UUID(int=number),
            defaults={
                "content_type": ContentType.objects.get_for_model(Document),
                "object_id": str(document.pk),
                "object_name": str(document),
                "action": "changed",
            },
        )
