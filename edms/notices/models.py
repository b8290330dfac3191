"""What the EDMS tells people."""

import uuid

from django.conf import settings
from django.db import models
from django.utils import timezone

from backup_tasks.rows.natural_keys import NaturalKeyModel
from edms.documents.models import Document


class Notification(NaturalKeyModel):
    """A line on somebody's dashboard until they have read it."""

    natural_key_fields = ("event_id",)

    event_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    recipient = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="notifications"
    )
    document = models.ForeignKey(
        Document, on_delete=models.CASCADE, null=True, blank=True, related_name="notifications"
    )
    text = models.CharField(max_length=300)
    created_at = models.DateTimeField(default=timezone.now)
    read_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at"]
        indexes = [
            models.Index(fields=["recipient", "read_at"], name="notices_unread"),
        ]

    def __str__(self) -> str:
        return self.text
