"""The document itself, and what it depends on."""

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.urls import reverse
from django.utils import timezone

from backup_tasks.rows.natural_keys import NaturalKeyModel
from edms.documents.models.catalogue import DocumentSource, DocumentType, SensitivityLabel, Tag


class Document(NaturalKeyModel):
    """A controlled document. What was effective stays as it is: a newer document supersedes it."""

    natural_key_fields = ("document_number",)

    document_number = models.CharField(max_length=40, unique=True)
    title = models.CharField(max_length=200)
    description = models.TextField(blank=True)
    document_type = models.ForeignKey(
        DocumentType, on_delete=models.PROTECT, related_name="documents"
    )
    source = models.ForeignKey(
        DocumentSource, on_delete=models.PROTECT, null=True, blank=True, related_name="documents"
    )
    department = models.ForeignKey(
        "users.Department",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="documents",
    )
    state = models.ForeignKey(
        "workflows.DocumentState",
        on_delete=models.PROTECT,
        default="draft",
        related_name="documents",
    )
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="documents_written"
    )
    reviewer = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="documents_to_review",
    )
    approver = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="documents_to_approve",
    )
    supersedes = models.ForeignKey(
        "self",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="superseded_by",
        help_text="The document that this one takes the place of.",
    )
    sensitivity = models.ForeignKey(
        SensitivityLabel,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="documents",
        help_text="Empty: the label of the document below, or none.",
    )
    sensitivity_from = models.ForeignKey(
        "self",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="passes_sensitivity_to",
        help_text="The document whose own label holds for this one too.",
    )
    tags = models.ManyToManyField(Tag, blank=True, related_name="documents")
    metadata = models.JSONField(default=dict, blank=True)
    effective_date = models.DateField(null=True, blank=True)
    review_due = models.DateField(null=True, blank=True, help_text="Next periodic review.")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["document_number"]
        indexes = [
            models.Index(fields=["state", "-updated_at"], name="documents_by_state"),
            models.Index(fields=["-updated_at"], name="documents_recent"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(sensitivity__isnull=True)
                | models.Q(sensitivity_from__isnull=True),
                name="documents_label_own_or_inherited",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.document_number} {self.title}"

    def get_absolute_url(self) -> str:
        """The document's page, where its state is changed."""
        return reverse("document", args=[self.document_number])

    @property
    def label(self) -> SensitivityLabel | None:
        """The sensitivity label that holds: the document's own, or the inherited one."""
        if self.sensitivity_from is not None:
            return self.sensitivity_from.sensitivity
        return self.sensitivity

    def clean(self) -> None:
        """Refuse a number that no address can hold, and a label over more than one document."""
        if "/" in self.document_number:
            raise ValidationError({"document_number": "A number has no “/”: it is in addresses."})
        source = self.sensitivity_from
        if source is not None and (source.pk == self.pk or source.sensitivity_id is None):
            raise ValidationError(
                {"sensitivity_from": "Choose a document that has a label of its own."}
            )
        if self.pk and self.sensitivity_id is None and self.passes_sensitivity_to.exists():
            raise ValidationError(
                {"sensitivity": "Other documents have their label from this one: it needs its own."}
            )


class ExternalDocument(Document):
    """A document of somebody else that is kept under control here: a standard, a manual."""

    publisher = models.CharField(max_length=100)
    edition = models.CharField(max_length=40, blank=True)
    reference = models.CharField(max_length=100, help_text="The publisher's own number.")
    url = models.URLField(blank=True)

    class Meta:
        ordering = ["document_number"]


class DocumentDependency(NaturalKeyModel):
    """A document that another one builds on."""

    natural_key_fields = ("document", "depends_on", "kind")

    class Kind(models.TextChoices):
        """In what way."""

        REFERENCES = "references", "refers to"
        IMPLEMENTS = "implements", "implements"
        USES_FORM = "uses_form", "uses the form"

    document = models.ForeignKey(Document, on_delete=models.CASCADE, related_name="dependencies")
    depends_on = models.ForeignKey(Document, on_delete=models.PROTECT, related_name="dependents")
    kind = models.CharField(max_length=20, choices=Kind, default=Kind.REFERENCES)
    note = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering = ["document", "depends_on"]
        verbose_name_plural = "document dependencies"
        constraints = [
            models.UniqueConstraint(
                fields=["document", "depends_on", "kind"], name="documents_dependency_once"
            ),
            models.CheckConstraint(
                condition=~models.Q(document=models.F("depends_on")),
                name="documents_dependency_not_itself",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.document.document_number} {self.get_kind_display()} {self.depends_on}"
