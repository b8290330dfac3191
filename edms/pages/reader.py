"""The person behind a request, and the documents that they may read."""

from dataclasses import dataclass

from django.core.exceptions import PermissionDenied
from django.db import models
from django.http import HttpRequest
from django.shortcuts import get_object_or_404

from edms.documents.models import AccessLog, Document
from edms.documents.services import log_access
from edms.documents.visibility import may_read, visible_to
from edms.users.models import User
from edms.users.permissions import Ability, Standing, standing_of


@dataclass(frozen=True, kw_only=True)
class Reader:
    """Who asks, and what they may do today."""

    user: User
    standing: Standing
    address: str | None

    @property
    def writes(self) -> bool:
        """May write documents."""
        return Ability.AUTHOR in self.standing.abilities

    @property
    def publishes(self) -> bool:
        """May make documents effective and obsolete."""
        return Ability.PUBLISH in self.standing.abilities

    def documents(self) -> "models.QuerySet[Document]":
        """The documents that they may read."""
        return visible_to(self.user, self.standing)


def reader_of(request: HttpRequest) -> Reader:
    """Return the signed-in person; views that call this ask for a sign-in first."""
    user = request.user
    if not isinstance(user, User):
        raise PermissionDenied("Sign in first.")
    return Reader(
        user=user, standing=standing_of(user), address=request.META.get("REMOTE_ADDR") or None
    )


def readable(
    number: str, reader: Reader, documents: "models.QuerySet[Document] | None" = None
) -> Document:
    """Return the document with this number: 404 if there is none, 403 if it is not for `reader`.

    A refusal is written to the access log.
    """
    rows = Document.objects.all() if documents is None else documents
    document: Document = get_object_or_404(rows, document_number=number)
    check_readable(document, reader)
    return document


def check_readable(document: Document, reader: Reader, file_name: str = "") -> None:
    """Raise PermissionDenied, and log it, unless `reader` may read the document."""
    if not may_read(document, reader.user, reader.standing):
        log_access(
            document,
            reader.user,
            AccessLog.Action.REFUSED,
            file_name=file_name,
            address=reader.address,
        )
        raise PermissionDenied("This document is not open to you.")
