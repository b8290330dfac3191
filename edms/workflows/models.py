"""States, the moves allowed between them, and the workflows that take documents through them."""

from typing import Any, NoReturn

from django.conf import settings
from django.db import models
from django.utils import timezone

from backup_tasks.rows.natural_keys import NaturalKeyModel
from edms.documents.models import Document, DocumentVersion


class DocumentState(NaturalKeyModel):
    """A stage in the life of a document."""

    natural_key_fields = ("code",)

    code = models.SlugField(max_length=30, primary_key=True)
    name = models.CharField(max_length=60)
    position = models.PositiveSmallIntegerField(default=0, help_text="Order in lists.")
    is_final = models.BooleanField(default=False, help_text="A workflow ends here.")

    class Meta:
        ordering = ["position"]

    def __str__(self) -> str:
        return self.name


class WorkflowType(NaturalKeyModel):
    """A kind of workflow: the states it knows are those of its allowed transitions."""

    natural_key_fields = ("code",)

    code = models.SlugField(max_length=30, unique=True)
    name = models.CharField(max_length=100)
    description = models.TextField(blank=True)
    initial_state = models.ForeignKey(DocumentState, on_delete=models.PROTECT, related_name="+")
    days_per_state = models.PositiveSmallIntegerField(
        default=14, help_text="Days until a task of this workflow is due."
    )
    is_active = models.BooleanField(default=True)

    class Meta:
        ordering = ["code"]

    def __str__(self) -> str:
        return self.name


class AllowedTransition(NaturalKeyModel):
    """A move that a workflow type allows, and who may make it."""

    natural_key_fields = ("workflow_type", "from_state", "to_state")

    class Actor(models.TextChoices):
        """Who may make the move; each also needs the role for it."""

        AUTHOR = "author", "the author"
        REVIEWER = "reviewer", "the reviewer"
        APPROVER = "approver", "the approver"
        PUBLISHER = "publisher", "anyone who may publish"

    workflow_type = models.ForeignKey(
        WorkflowType, on_delete=models.CASCADE, related_name="transitions"
    )
    from_state = models.ForeignKey(DocumentState, on_delete=models.PROTECT, related_name="+")
    to_state = models.ForeignKey(DocumentState, on_delete=models.PROTECT, related_name="+")
    name = models.CharField(max_length=60, help_text="What the button says.")
    actor = models.CharField(max_length=20, choices=Actor)
    needs_comment = models.BooleanField(default=False)

    class Meta:
        ordering = ["workflow_type", "from_state__position", "to_state__position"]
        constraints = [
            models.UniqueConstraint(
                fields=["workflow_type", "from_state", "to_state"], name="workflows_move_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.from_state_id} → {self.to_state_id})"


class DocumentWorkflow(NaturalKeyModel):
    """One way of a document through the states of a workflow type."""

    natural_key_fields = ("document", "workflow_type", "sequence")

    document = models.ForeignKey(Document, on_delete=models.CASCADE, related_name="workflows")
    workflow_type = models.ForeignKey(
        WorkflowType, on_delete=models.PROTECT, related_name="workflows"
    )
    sequence = models.PositiveSmallIntegerField(
        default=1, help_text="The how-manieth workflow of this type for the document."
    )
    state = models.ForeignKey(DocumentState, on_delete=models.PROTECT, related_name="workflows")
    initiated_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="workflows_initiated"
    )
    assignee = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="workflows_assigned",
        help_text="Whose turn it is.",
    )
    due_date = models.DateField(null=True, blank=True)
    started_at = models.DateTimeField(default=timezone.now, editable=False)
    completed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["document", "workflow_type", "sequence"]
        constraints = [
            models.UniqueConstraint(
                fields=["document", "workflow_type", "sequence"], name="workflows_sequence_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.document.document_number}: {self.workflow_type} {self.sequence}"


class DocumentTransition(NaturalKeyModel):
    """A move that was made: who, when, from where to where, and why."""

    natural_key_fields = ("workflow", "ordinal")

    workflow = models.ForeignKey(
        DocumentWorkflow, on_delete=models.CASCADE, related_name="transitions"
    )
    ordinal = models.PositiveSmallIntegerField(help_text="1 for the workflow's first move.")
    from_state = models.ForeignKey(DocumentState, on_delete=models.PROTECT, related_name="+")
    to_state = models.ForeignKey(DocumentState, on_delete=models.PROTECT, related_name="+")
    made_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="transitions_made"
    )
    made_at = models.DateTimeField(default=timezone.now)
    comment = models.TextField(blank=True)

    class Meta:
        ordering = ["workflow", "ordinal"]
        constraints = [
            models.UniqueConstraint(fields=["workflow", "ordinal"], name="workflows_ordinal_once"),
        ]

    def __str__(self) -> str:
        return f"{self.from_state_id} → {self.to_state_id}"


class ElectronicSignature(NaturalKeyModel):
    """What somebody signed by giving their password again: a move, its meaning, the exact file.

    It is written once, and neither the move nor the file can be deleted under it. What a reader
    needs is written out, so that it stays as it was when people and versions get other names.
    """

    natural_key_fields = ("transition",)

    class Meaning(models.TextChoices):
        """What the signature says about the file."""

        APPROVED = "approved", "approved"
        RELEASED = "released", "released"

    transition = models.OneToOneField(
        DocumentTransition, on_delete=models.PROTECT, related_name="signature"
    )
    version = models.ForeignKey(
        DocumentVersion, on_delete=models.PROTECT, related_name="signatures"
    )
    signer = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="electronic_signatures"
    )
    meaning = models.CharField(max_length=20, choices=Meaning)
    printed_name = models.CharField(max_length=310, help_text="Of the signer, at that time.")
    version_number = models.CharField(max_length=12, help_text="Of the version, at that time.")
    sha256 = models.CharField("SHA-256", max_length=64, help_text="Of the file that was signed.")
    signed_at = models.DateTimeField()
    local_time = models.CharField(
        max_length=100, help_text="The same moment as the signer saw it, with the zone."
    )

    class Meta:
        ordering = ["transition"]

    def __str__(self) -> str:
        return f"{self.meaning} by {self.printed_name}: version {self.version_number}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save a new signature. Raises TypeError for one that is saved already."""
        if not self._state.adding:
            raise TypeError("A signature is never changed.")
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Raise TypeError: a signature stays with what it signs."""
        raise TypeError("A signature is never deleted.")

    @property
    def is_in_place(self) -> bool:
        """Whether the move, its person and its file are those that were signed."""
        move, version = self.transition, self.version
        return (
            (move.made_by_id, move.made_at) == (self.signer_id, self.signed_at)
            and move.workflow.document_id == version.document_id
            and version.sha256 == self.sha256
        )


class ReadingTask(NaturalKeyModel):
    """Somebody reads a document, once it is released, and confirms that they understood it."""

    natural_key_fields = ("document", "reader")

    document = models.ForeignKey(Document, on_delete=models.CASCADE, related_name="reading_tasks")
    reader = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="reading_tasks"
    )
    assigned_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="reading_tasks_given"
    )
    assigned_at = models.DateTimeField(default=timezone.now, editable=False)
    confirmed_at = models.DateTimeField(null=True, blank=True)
    sha256 = models.CharField(
        "SHA-256", max_length=64, blank=True, help_text="Of the file that was read and understood."
    )

    class Meta:
        ordering = ["document", "reader"]
        indexes = [models.Index(fields=["reader", "confirmed_at"], name="workflows_reading_open")]
        constraints = [
            models.UniqueConstraint(
                fields=["document", "reader"], name="workflows_reading_once_per_person"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.document.document_number}: {self.reader} reads it"


class PeriodicReview(NaturalKeyModel):
    """An effective document is looked at again after some time: is it still right?"""

    natural_key_fields = ("document", "sequence")

    class Outcome(models.TextChoices):
        """What the reviewer found."""

        CONFIRMED = "confirmed", "still valid"
        REVISE = "revise", "to be revised"
        RETIRE = "retire", "to be retired"

    document = models.ForeignKey(
        Document, on_delete=models.CASCADE, related_name="periodic_reviews"
    )
    sequence = models.PositiveSmallIntegerField(default=1)
    due_date = models.DateField()
    reviewer = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="periodic_reviews",
    )
    outcome = models.CharField(max_length=20, choices=Outcome, blank=True)
    comment = models.TextField(blank=True)
    completed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["document", "sequence"]
        constraints = [
            models.UniqueConstraint(
                fields=["document", "sequence"], name="workflows_periodic_review_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.document.document_number}: periodic review {self.sequence}"
