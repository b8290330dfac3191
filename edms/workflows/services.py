"""Changes a document's state: the only place that does.

Each service runs in one transaction, locks the workflow, checks who asks, and writes the move to
the history. Pages and admin call these; they raise the errors of `edms.workflows.errors`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta

from django.db import transaction
from django.db.models import Max
from django.utils import timezone

from edms.documents.models import Document
from edms.notices.services import notify
from edms.users.models import User
from edms.users.permissions import Ability, abilities
from edms.workflows import effects
from edms.workflows import signing as signatures
from edms.workflows.errors import Incomplete, MoveNotAllowed, NotYours
from edms.workflows.models import (
    AllowedTransition,
    DocumentTransition,
    DocumentWorkflow,
    PeriodicReview,
    WorkflowType,
)
from edms.workflows.signing import Signing

Actor = AllowedTransition.Actor

_ABILITY = {
    Actor.AUTHOR: Ability.AUTHOR,
    Actor.REVIEWER: Ability.REVIEW,
    Actor.APPROVER: Ability.APPROVE,
    Actor.PUBLISHER: Ability.PUBLISH,
}


@dataclass(frozen=True, kw_only=True)
class Move:
    """A move that a person may make now: one button."""

    workflow: DocumentWorkflow
    transition: AllowedTransition

    @property
    def signed_as(self) -> str:
        """What the signature means that the move needs; "" where it needs none."""
        return signatures.MEANINGS.get(self.transition.to_state_id, "")


def start(document: Document, workflow_type: str, by: User) -> DocumentWorkflow:
    """Open a workflow of the type with the code `workflow_type` in its initial state.

    Raises MoveNotAllowed if the document is in another state or has an open workflow.
    """
    kind = WorkflowType.objects.get(code=workflow_type)
    with transaction.atomic():
        locked = Document.objects.select_for_update().get(pk=document.pk)
        if locked.state_id != kind.initial_state_id:
            raise MoveNotAllowed(f"{kind} starts from another state than {locked.state}.")
        if locked.workflows.filter(completed_at__isnull=True).exists():
            raise MoveNotAllowed(f"{locked.document_number} is in another workflow already.")
        earlier = locked.workflows.filter(workflow_type=kind).aggregate(last=Max("sequence"))
        opened: DocumentWorkflow = DocumentWorkflow.objects.create(
            document=locked,
            workflow_type=kind,
            sequence=(earlier["last"] or 0) + 1,
            state_id=kind.initial_state_id,
            initiated_by=by,
            assignee_id=_whose_turn(locked, kind.initial_state_id) or by.pk,
            due_date=_due(kind),
        )
    return opened


def advance(
    workflow: DocumentWorkflow,
    to_state: str,
    by: User,
    comment: str = "",
    *,
    signing: Signing | None = None,
) -> DocumentTransition:
    """Move a workflow and its document to the state with the code `to_state`.

    Approval and release need `signing`. Raises MoveNotAllowed, NotYours or Incomplete; then nothing
    has changed.
    """
    with transaction.atomic():
        locked: DocumentWorkflow = DocumentWorkflow.objects.select_for_update().get(pk=workflow.pk)
        document = locked.document
        move = _move(locked, to_state)
        if refusal := why_not(move, document, by, abilities(by)):
            raise NotYours(refusal)
        if move.needs_comment and not comment.strip():
            raise Incomplete(f"“{move.name}” needs a comment that says why.")
        if move.to_state_id == "under_review":
            _complete_enough(document)
        if move.to_state_id == "effective":
            _has_its_place(document)
        signatures.check(move.to_state_id, document, by, signing)
        made = _make(locked, move, by, comment.strip())
        if move.to_state_id == "effective":
            effects.take_effect(document, by)
        if move.from_state_id == "effective":
            effects.leave_effect(document)
        if signing is not None:
            signatures.sign(made, signing)
    workflow.refresh_from_db()
    return made


def start_review(workflow: DocumentWorkflow, by: User, comment: str = "") -> DocumentTransition:
    """The author hands the document to its reviewer."""
    return advance(workflow, "under_review", by, comment)


def reject(workflow: DocumentWorkflow, by: User, comment: str) -> DocumentTransition:
    """The reviewer or approver gives the document back to its author."""
    return advance(workflow, "draft", by, comment)


def pass_review(workflow: DocumentWorkflow, by: User, comment: str = "") -> DocumentTransition:
    """The reviewer has no objection."""
    return advance(workflow, "reviewed", by, comment)


def approve(
    workflow: DocumentWorkflow, by: User, signing: Signing, comment: str = ""
) -> DocumentTransition:
    """The approver agrees and signs; four eyes: never the author."""
    return advance(workflow, "approved", by, comment, signing=signing)


def make_effective(
    workflow: DocumentWorkflow, by: User, signing: Signing, comment: str = ""
) -> DocumentTransition:
    """The document is in force from today, signed; what it supersedes no longer is."""
    return advance(workflow, "effective", by, comment, signing=signing)


def make_obsolete(document: Document, by: User, comment: str) -> DocumentTransition:
    """Retire an effective document that nothing supersedes."""
    with transaction.atomic():
        return advance(start(document, "retirement", by), "obsolete", by, comment)


def complete_review(review: PeriodicReview, outcome: str, by: User, comment: str = "") -> None:
    """Record what the periodic review of a document found; a confirmed one is planned again.

    Raises NotYours for anybody but its reviewer or document control, Incomplete if it was done.
    """
    with transaction.atomic():
        locked: PeriodicReview = PeriodicReview.objects.select_for_update().get(pk=review.pk)
        may = abilities(by)
        if Ability.PUBLISH not in may and (
            locked.reviewer_id != by.pk or Ability.REVIEW not in may
        ):
            raise NotYours("A periodic review is for its reviewer or document control.")
        if locked.completed_at is not None:
            raise Incomplete("This periodic review was completed before.")
        locked.outcome = PeriodicReview.Outcome(outcome)
        locked.comment = comment.strip()
        locked.completed_at = timezone.now()
        locked.save()
        if locked.outcome == PeriodicReview.Outcome.CONFIRMED:
            document = locked.document
            months = document.document_type.review_months
            document.review_due = effects.months_later(timezone.now().date(), months)
            document.save(update_fields=["review_due", "updated_at"])
            effects.plan_review(document, document.review_due)
        else:
            text = f"Periodic review of {locked.document}: {locked.get_outcome_display()}."
            notify([locked.document.author_id], locked.document, text)


def moves_for(
    workflows: Iterable[DocumentWorkflow],
    document: Document,
    by: User,
    may: frozenset[Ability],
) -> list[Move]:
    """Return the moves that `by` may make now in these workflows of one document."""
    open_workflows = [workflow for workflow in workflows if workflow.completed_at is None]
    allowed = AllowedTransition.objects.filter(
        workflow_type__in={workflow.workflow_type_id for workflow in open_workflows}
    )
    return [
        Move(workflow=workflow, transition=transition)
        for transition in (allowed if open_workflows else ())
        for workflow in open_workflows
        if transition.workflow_type_id == workflow.workflow_type_id
        and transition.from_state_id == workflow.state_id
        and not why_not(transition, document, by, may)
    ]


def why_not(move: AllowedTransition, document: Document, by: User, may: frozenset[Ability]) -> str:
    """Return why `by`, who has the abilities `may`, may not make `move`; "" if they may.

    A superuser may stand in for the people assigned, but nobody reviews or approves what they
    wrote themselves.
    """
    actor = Actor(move.actor)
    if _ABILITY[actor] not in may:
        return f"“{move.name}” needs a role that {by} does not hold."
    if actor in (Actor.REVIEWER, Actor.APPROVER) and document.author_id == by.pk:
        return "Four eyes: an author neither reviews nor approves their own document."
    assigned = {
        Actor.AUTHOR: document.author_id,
        Actor.REVIEWER: document.reviewer_id,
        Actor.APPROVER: document.approver_id,
    }
    if actor in assigned and assigned[actor] != by.pk and not by.is_superuser:
        return f"“{move.name}” is for {actor.label} of this document."
    return ""


def _move(workflow: DocumentWorkflow, to_state: str) -> AllowedTransition:
    move: AllowedTransition | None = AllowedTransition.objects.filter(
        workflow_type=workflow.workflow_type, from_state=workflow.state, to_state=to_state
    ).first()
    if move is None or workflow.completed_at is not None:
        raise MoveNotAllowed(
            f"{workflow} is {workflow.state.name.lower()}: it can't become “{to_state}” from there."
        )
    return move


def _complete_enough(document: Document) -> None:
    if document.reviewer_id is None or document.approver_id is None:
        raise Incomplete(f"{document.document_number} needs a reviewer and an approver first.")
    if document.author_id in (document.reviewer_id, document.approver_id):
        raise Incomplete("Four eyes: reviewer and approver must be other people than the author.")
    if not document.versions.exists():
        raise Incomplete(f"{document.document_number} has no file yet: upload a version first.")


def _has_its_place(document: Document) -> None:
    """Of two revisions of one document the first takes its place; two in force would contradict."""
    old = Document.objects.select_for_update().filter(pk=document.supersedes_id).first()
    if old is not None and old.state_id == "superseded":
        raise MoveNotAllowed(
            f"{document.document_number} revises {old.document_number}, which another document has "
            "superseded meanwhile: document control decides which of them it is to supersede."
        )


def _make(
    workflow: DocumentWorkflow, move: AllowedTransition, by: User, comment: str
) -> DocumentTransition:
    document = workflow.document
    workflow.assignee_id = _whose_turn(document, move.to_state_id)
    workflow.due_date = _due(workflow.workflow_type)
    made = effects.record(workflow, move.to_state, by, comment)
    document.state = move.to_state
    document.save(update_fields=["state", "updated_at"])
    told = {document.author_id, workflow.assignee_id} - {by.pk}
    text = f"{document.document_number}: {move.to_state.name.lower()}"
    notify(told, document, f"{text} – {comment}" if comment else f"{text}.")
    return made


def _whose_turn(document: Document, state: str) -> int | None:
    return {
        "draft": document.author_id,
        "under_review": document.reviewer_id,
        "reviewed": document.approver_id,
    }.get(state)


def _due(kind: WorkflowType) -> date:
    return timezone.now().date() + timedelta(days=kind.days_per_state)
