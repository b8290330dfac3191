"""A day of work at a demonstration EDMS, and where its generic keys lead afterwards. Both run
inside the project (`manage.py shell`): the day through its pages and its admin."""

import json
from collections.abc import Iterator
from io import StringIO
from typing import Any

from django.apps import apps
from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.fields import GenericForeignKey
from django.contrib.contenttypes.models import ContentType
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command
from django.db import models
from django.test import Client

from edms.configuration.models import SystemSetting
from edms.demo import PASSWORD
from edms.documents.models import Attachment, Document, DocumentVersion
from edms.users.models import Role, User

Model = type[models.Model]


def day() -> None:
    """Give every model rows: to the demonstration add generated documents, and what neither has:
    the admin's log, audit entries of every controlled model, traces of what was deleted."""
    call_command("generate_documents", documents=40, users=5, stdout=StringIO(), stderr=StringIO())

    eva = _person("eva")
    draft = "/documents/POL-2026-0001/"
    _post(eva, f"{draft}attachments/", {"attachment-file": _file("risks.csv", "risk;how likely\n")})
    _post(eva, f"{draft}versions/", {"file": _file("policy.txt", "Passwords – größer.\n")})

    # SOP-2025-0001 is superseded: the review that was planned for it is deleted.
    for name, state in (("ben", "reviewed"), ("cleo", "approved"), ("dan", "effective")):
        _post(
            _person(name),
            "/documents/SOP-2026-0001/move/",
            {"to_state": state, "password": PASSWORD},
        )
    assert Document.objects.get(document_number="SOP-2026-0001").state_id == "effective"
    _post(_person("ben"), "/documents/SOP-2026-0001/comments/1/withdraw/", {})

    # A draft that was read is deleted: its place in the access log and the audit trail stays.
    kind = Document.objects.get(document_number="SOP-2026-0001").document_type_id
    people = {"reviewer": _pk("ben"), "approver": _pk("gil")}
    _post(eva, "/documents/new/", {"title": "Mistake", "document_type": kind, **people})
    mistake = Document.objects.get(title="Mistake")
    assert eva.get(mistake.get_absolute_url()).status_code == 200
    admin = _person("admin")
    _post(admin, f"/admin/documents/document/{mistake.pk}/delete/", {"post": "yes"})

    role = Role.objects.get(name="Reviewer")
    _post(
        admin,
        f"/admin/users/role/{role.pk}/change/",
        {"name": "Reviewer", "may_review": "on", "inherits_from": role.inherits_from_id},
    )
    company = SystemSetting.objects.get(key="company")
    values = {"key": "company", "value": json.dumps("Acme & Søn")}
    _post(admin, f"/admin/configuration/systemsetting/{company.pk}/change/", values)


def keys() -> dict[str, Any]:
    """Return where each generic key leads, by natural keys; None where its object is gone."""
    return dict(_leads())


def empty() -> list[str]:
    """Return the models without a single row."""
    every = apps.get_models(include_auto_created=True)
    return sorted(model._meta.label for model in every if not model._base_manager.exists())


def recorded() -> dict[str, str]:
    """Return the SHA-256 that is on record for each stored file, by its name."""
    return {
        name: sha256
        for model in (DocumentVersion, Attachment)
        for name, sha256 in model.objects.values_list("file", "sha256")
    }


def _leads() -> Iterator[tuple[str, Any]]:
    for model, kind, key in _generic_keys():
        for row in model._base_manager.order_by("pk"):
            of: ContentType = getattr(row, kind)
            leads_to = of.model_class()
            assert leads_to is not None, of
            target = leads_to._base_manager.filter(pk=getattr(row, key)).first()
            found = [of.model, *_natural_key(target)] if target else None
            yield f"{model._meta.label} {_natural_key(row)}", found


def _generic_keys() -> Iterator[tuple[Model, str, str]]:
    # The admin's log has a generic key in all but name.
    yield LogEntry, "content_type", "object_id"
    for model in apps.get_models():
        for field in model._meta.private_fields:
            if isinstance(field, GenericForeignKey):
                yield model, field.ct_field, field.fk_field


def _natural_key(row: Any) -> tuple[Any, ...]:
    return tuple(row.natural_key()) if hasattr(row, "natural_key") else (row.pk,)


def _person(name: str) -> Client:
    client = Client(headers={"host": "localhost"})
    client.force_login(User.objects.get(username=name))
    return client


def _pk(name: str) -> int:
    found: User = User.objects.get(username=name)
    return found.pk


def _file(name: str, text: str) -> SimpleUploadedFile:
    return SimpleUploadedFile(name, text.encode())


def _post(client: Client, path: str, values: dict[str, Any]) -> None:
    answer = client.post(path, values)
    assert answer.status_code == 302, (path, answer.status_code, answer.context["errors"])
