"""Who looked at what. The record outlives the document and the user that it names."""

import uuid

from django.conf import settings
from django.db import models
from django.utils import timezone

from backup_tasks.rows.natural_keys import NaturalKeyModel
from edms.documents.models.document import Document


class AccessLog(NaturalKeyModel):
    """One look at a document, or download of one of its files."""

    natural_key_fields = ("event_id",)

    class Action(models.TextChoices):
        """What was done."""

        VIEW = "view", "viewed the page"
        DOWNLOAD = "download", "opened a file"
        REFUSED = "refused", "was refused"

    event_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    # No constraint: deleting a draft must be possible, and must not delete who had read it.
    document = models.ForeignKey(
        Document, on_delete=models.DO_NOTHING, db_constraint=False, related_name="access_log"
    )
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        related_name="access_log",
    )
    action = models.CharField(max_length=10, choices=Action)
    file_name = models.CharField(max_length=255, blank=True)
    address = models.GenericIPAddressField(null=True, blank=True)
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-at"]
        indexes = [models.Index(fields=["document", "-at"], name="documents_access_by_document")]
        verbose_name_plural = "access log"

    def __str__(self) -> str:
        return f"{self.user_id} {self.get_action_display()}: {self.document_id}"
