"""Files: the versions of a document, and what is attached to it."""

import uuid
from pathlib import PurePosixPath

from django.conf import settings
from django.db import models
from django.utils import timezone

from backup_tasks.rows.natural_keys import NaturalKeyModel
from edms.documents.models.document import Document


def version_path(version: "DocumentVersion", filename: str) -> str:
    """Return where the file of a version is stored: by document number, then version."""
    name = PurePosixPath(filename).name
    return f"documents/{version.document.document_number}/{version.major}.{version.minor}/{name}"


def attachment_path(attachment: "Attachment", filename: str) -> str:
    """Return where an attachment is stored."""
    name = PurePosixPath(filename).name
    return f"documents/{attachment.document.document_number}/attachments/{name}"


class StoredFile(NaturalKeyModel):
    """What is known of an uploaded file."""

    file_name = models.CharField(max_length=255, help_text="As it was uploaded.")
    content_type = models.CharField(max_length=100, default="application/octet-stream")
    size = models.PositiveBigIntegerField(help_text="In bytes.")
    sha256 = models.CharField("SHA-256", max_length=64)
    uploaded_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="%(class)ss_uploaded"
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        abstract = True


class DocumentVersion(StoredFile):
    """One state of a document's file; N.1, N.2, … are drafts of what becomes version N+1.0."""

    natural_key_fields = ("document", "major", "minor")

    document = models.ForeignKey(Document, on_delete=models.CASCADE, related_name="versions")
    major = models.PositiveSmallIntegerField(default=0)
    minor = models.PositiveSmallIntegerField(default=1)
    position = models.GeneratedField(  # the newest version is found by one indexed number
        expression=models.F("major") * 10_000 + models.F("minor"),
        output_field=models.IntegerField(),
        db_persist=True,
    )
    file = models.FileField(upload_to=version_path, max_length=255)
    change_summary = models.TextField(blank=True)

    class Meta:
        ordering = ["document", "-position"]
        indexes = [models.Index(fields=["document", "-position"], name="documents_newest_version")]
        constraints = [
            models.UniqueConstraint(
                fields=["document", "major", "minor"], name="documents_version_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.document.document_number} v{self.number}"

    @property
    def number(self) -> str:
        """The version as people write it: `0.2`."""
        return f"{self.major}.{self.minor}"


class Attachment(StoredFile):
    """A file that goes with a document: a drawing, a table, a signed scan.

    Links to attachments are sent around, so their key can't be guessed or counted.
    """

    natural_key_fields = ("document", "file_name")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    document = models.ForeignKey(Document, on_delete=models.CASCADE, related_name="attachments")
    file = models.FileField(upload_to=attachment_path, max_length=255)

    class Meta:
        ordering = ["document", "file_name"]
        constraints = [
            models.UniqueConstraint(
                fields=["document", "file_name"], name="documents_attachment_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.document.document_number}: {self.file_name}"
