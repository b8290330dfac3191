"""Starts the life of a document: its number, its first file, its approval workflow."""

from collections.abc import Iterable
from typing import Any

from django.core.files.base import File
from django.db import transaction

from edms.documents.models import Document, Tag
from edms.documents.numbering import next_number
from edms.documents.services import add_version
from edms.users.models import User
from edms.users.permissions import Ability, abilities
from edms.workflows import reading, services
from edms.workflows.errors import NotYours
from edms.workflows.models import DocumentWorkflow


def open_document(
    *, by: User, file: "File[bytes] | None", tags: Iterable[Tag] = (), **fields: Any
) -> DocumentWorkflow:
    """Create a draft with the model fields `fields`, written by `by`; returns its workflow.

    Raises NotYours where `by` may not write documents.
    """
    if Ability.AUTHOR not in abilities(by):
        raise NotYours(f"{by} holds no role that writes documents.")
    with transaction.atomic():
        number = next_number(fields["document_type"])
        document: Document = Document.objects.create(
            document_number=number, author=by, department=by.department, **fields
        )
        document.tags.set(tags)
        if file is not None:
            add_version(document, file, by, "First version.")
        if document.supersedes is not None:
            reading.take_over(document.supersedes, document, by)
        return services.start(document, "approval", by)
