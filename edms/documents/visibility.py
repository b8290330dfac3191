"""Which documents a person may read: the one rule that lists, pages and files go by."""

from django.db import models
from django.db.models import Q

from edms.documents.models import Document, SensitivityLabel
from edms.users.models import User
from edms.users.permissions import Ability, Standing

PUBLISHED = ("effective", "superseded", "obsolete")


def visible_to(user: User, standing: Standing) -> "models.QuerySet[Document]":
    """Return the documents that `user` may read.

    Document control, auditors (permission `documents.view_document`) and superusers read
    everything; author, reviewer and approver theirs; everybody with a role the published
    documents whose sensitivity label admits one of their roles.
    """
    documents: models.QuerySet[Document] = Document.objects.all()
    if Ability.PUBLISH in standing.abilities or user.has_perm("documents.view_document"):
        return documents
    readable = Q(author=user) | Q(reviewer=user) | Q(approver=user)
    if standing.roles:
        readable |= Q(state__in=PUBLISHED) & _admitted(standing)
    return documents.filter(readable)


def admits(document: Document, user: User, standing: Standing) -> bool:
    """Whether `user` may read the document once it is published, whatever its state is now."""
    if Ability.PUBLISH in standing.abilities or user.has_perm("documents.view_document"):
        return True
    if user.pk in (document.author_id, document.reviewer_id, document.approver_id):
        return True
    label = document.label
    readers = set(label.readers.values_list("pk", flat=True)) if label else set()
    return bool(standing.roles & readers if readers else standing.roles)


def _admitted(standing: Standing) -> Q:
    closed = list(
        SensitivityLabel.objects.filter(readers__isnull=False)
        .exclude(readers__in=standing.roles)
        .values_list("pk", flat=True)
        .distinct()
    )
    if not closed:
        return Q()
    return ~Q(sensitivity__in=closed) & ~Q(sensitivity_from__sensitivity__in=closed)


def may_read(document: Document, user: User, standing: Standing) -> bool:
    """Whether `user` may read this document."""
    return visible_to(user, standing).filter(pk=document.pk).exists()
