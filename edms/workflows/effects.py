"""What follows when a document takes effect or leaves it; called by the workflow services only."""

from datetime import date
from typing import TYPE_CHECKING

from django.db.models import Max
from django.utils import timezone

from edms.documents.models import Document
from edms.notices.services import notify
from edms.users.models import User
from edms.workflows.models import DocumentState, DocumentTransition, PeriodicReview
from edms.workflows.reading import tell_readers

if TYPE_CHECKING:
    from edms.workflows.models import DocumentWorkflow


def take_effect(document: Document, by: User) -> None:
    """Put `document` in force: final version, dates, next review; retire what it supersedes."""
    today = timezone.now().date()
    draft = document.versions.order_by("-position").first()
    if draft is not None:
        draft.major, draft.minor = draft.major + 1, 0
        draft.save()
    document.effective_date = today
    document.review_due = months_later(today, document.document_type.review_months)
    document.save(update_fields=["effective_date", "review_due", "updated_at"])
    plan_review(document, document.review_due)
    tell_readers(document)
    old = document.supersedes
    if old is not None and old.state_id == "effective":
        supersede(old, document, by)


def supersede(old: Document, new: Document, by: User) -> None:
    """Supersede `old` by `new`, which is in force from now on."""
    state = DocumentState.objects.get(code="superseded")
    workflow = old.workflows.order_by("-started_at").first()
    if workflow is not None:
        record(workflow, state, by, f"Superseded by {new.document_number}.")
    old.state = state
    old.review_due = None
    old.save(update_fields=["state", "review_due", "updated_at"])
    leave_effect(old)
    notify([old.author_id], old, f"{old.document_number} is superseded by {new.document_number}.")


def leave_effect(document: Document) -> None:
    """A document that is no longer in force needs no periodic review."""
    document.periodic_reviews.filter(completed_at__isnull=True).delete()


def record(
    workflow: "DocumentWorkflow", state: DocumentState, by: User, comment: str
) -> DocumentTransition:
    """Write a move to the history and set the workflow's state; returns the move."""
    last = workflow.transitions.aggregate(last=Max("ordinal"))["last"] or 0
    made: DocumentTransition = DocumentTransition.objects.create(
        workflow=workflow,
        ordinal=last + 1,
        from_state_id=workflow.state_id,
        to_state=state,
        made_by=by,
        comment=comment,
    )
    workflow.state = state
    if state.is_final:
        workflow.assignee = None
        workflow.due_date = None
        workflow.completed_at = made.made_at
    workflow.save()
    return made


def plan_review(document: Document, due: date) -> PeriodicReview:
    """Plan the next periodic review of a document for its reviewer."""
    last = document.periodic_reviews.aggregate(last=Max("sequence"))["last"] or 0
    planned: PeriodicReview = PeriodicReview.objects.create(
        document=document, sequence=last + 1, due_date=due, reviewer_id=document.reviewer_id
    )
    return planned


def months_later(day: date, months: int) -> date:
    """Return the day `months` later; a 29th to 31st becomes the 28th, which every month has."""
    years, month = divmod(day.month - 1 + months, 12)
    return date(day.year + years, month + 1, min(day.day, 28))
