"""One document: its state and what can be done with it, files, history, comments."""

from dataclasses import dataclass
from typing import Any

from django.contrib.auth.decorators import login_required
from django.contrib.contenttypes.models import ContentType
from django.db.models import F, Prefetch
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from edms.audit.models import AuditEntry
from edms.documents.models import AccessLog, Comment, Document, ExternalDocument
from edms.documents.services import log_access
from edms.pages.forms import (
    AttachmentForm,
    CommentForm,
    ReviewForm,
    VersionForm,
)
from edms.pages.reader import Reader, readable, reader_of
from edms.workflows.models import DocumentTransition
from edms.workflows.reading import is_open, may_assign
from edms.workflows.services import moves_for

AUDIT_SHOWN = 20
CONNECTED_SHOWN = 50


@dataclass(frozen=True, kw_only=True)
class Said:
    """A comment and how deep in its thread it is."""

    comment: Comment
    depth: int


@login_required
@require_safe
def document_page(request: HttpRequest, number: str) -> HttpResponse:
    """Show a document to somebody who may read it."""
    reader = reader_of(request)
    document = readable(
        number,
        reader,
        Document.objects.select_related(
            "document_type",
            "source",
            "department",
            "state",
            "author",
            "reviewer",
            "approver",
            "sensitivity",
            "sensitivity_from__sensitivity",
            "externaldocument",
        ).prefetch_related("tags"),
    )
    log_access(document, reader.user, AccessLog.Action.VIEW, address=reader.address)
    return render(request, "edms/document_page.html", _context(document, reader))


def _context(document: Document, reader: Reader) -> dict[str, Any]:
    moves = DocumentTransition.objects.select_related(
        "from_state", "to_state", "made_by__signature", "signature__version"
    )
    workflows = list(
        document.workflows.select_related("workflow_type", "state", "assignee").prefetch_related(
            Prefetch("transitions", moves.order_by("ordinal"))
        )
    )
    for workflow in workflows:
        workflow.document = document
        for made in workflow.transitions.all():
            made.workflow = workflow
    writing = document.author_id == reader.user.pk and document.state_id == "draft"
    review = document.periodic_reviews.filter(completed_at__isnull=True).first()
    tasks = list(
        document.reading_tasks.select_related("reader").order_by(
            F("confirmed_at").asc(nulls_first=True), "pk"
        )
    )
    for task in tasks:
        task.document = document
    reviewing = review is not None and (review.reviewer_id == reader.user.pk or reader.publishes)
    return {
        "reader": reader,
        "document": document,
        "versions": document.versions.select_related("uploaded_by").order_by("-position"),
        "attachments": document.attachments.select_related("uploaded_by"),
        # Only what the reader may open: a title, and that there is one, can be confidential too.
        "older": reader.documents().filter(superseded_by=document).first(),
        "newer": reader.documents().filter(supersedes=document).select_related("state"),
        "dependencies": document.dependencies.filter(
            depends_on__in=reader.documents()
        ).select_related("depends_on__state"),
        "dependents": document.dependents.filter(document__in=reader.documents()).select_related(
            "document__state"
        )[:CONNECTED_SHOWN],
        "workflows": workflows,
        # Moves forward come before moves back.
        "moves": sorted(
            moves_for(workflows, document, reader.user, reader.standing.abilities),
            key=lambda move: move.transition.needs_comment,
        ),
        "thread": thread_of(document),
        "trail": _trail(document),
        "review": review,
        "review_form": ReviewForm() if reviewing else None,
        "version_form": VersionForm() if writing else None,
        "attachment_form": AttachmentForm(prefix="attachment") if writing else None,
        "comment_form": CommentForm(),
        "reading_tasks": tasks,
        "confirmed": sum(task.confirmed_at is not None for task in tasks),
        "my_reading": any(is_open(task, reader.user) for task in tasks),
        "may_assign": may_assign(document, reader.user, reader.standing.abilities),
        "may_retire": reader.publishes and document.state_id == "effective",
        "may_revise": reader.writes and document.state_id == "effective",
    }


def thread_of(document: Document) -> list[Said]:
    """Return the comments in the order they are read: each one followed by its answers.

    A withdrawn comment stays in its place without its text while it has answers.
    """
    comments = list(
        Comment.everything.filter(document=document).select_related("author").order_by("ordinal")
    )
    answers: dict[int | None, list[Comment]] = {}
    for comment in comments:
        answers.setdefault(comment.parent_id, []).append(comment)
    found: list[Said] = []
    waiting = [Said(comment=comment, depth=0) for comment in reversed(answers.get(None, []))]
    while waiting:
        said = waiting.pop()
        below = answers.get(said.comment.pk, [])
        if said.comment.withdrawn_at is None or below:
            found.append(said)
        waiting += [Said(comment=comment, depth=said.depth + 1) for comment in reversed(below)]
    return found


def _trail(document: Document) -> "list[AuditEntry]":
    # An external document is one object with two content types.
    kinds = ContentType.objects.get_for_models(Document, ExternalDocument).values()
    entries = AuditEntry.objects.filter(content_type__in=kinds, object_id=str(document.pk))
    return list(entries.select_related("actor").order_by("-at")[:AUDIT_SHOWN])
