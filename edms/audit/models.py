"""One row for each change of a controlled object."""

import uuid

from django.conf import settings
from django.contrib.contenttypes.fields import GenericForeignKey
from django.contrib.contenttypes.models import ContentType
from django.db import models
from django.utils import timezone

from backup_tasks.rows.natural_keys import NaturalKeyModel


class AuditEntry(NaturalKeyModel):
    """A change: which object, by whom, when, and each field's value before and after."""

    natural_key_fields = ("event_id",)

    class Action(models.TextChoices):
        """What happened to the object."""

        CREATED = "created", "created"
        CHANGED = "changed", "changed"
        DELETED = "deleted", "deleted"

    event_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    content_type = models.ForeignKey(ContentType, on_delete=models.PROTECT, related_name="+")
    object_id = models.CharField(max_length=40, help_text="Primary key: number, code or UUID.")
    target = GenericForeignKey("content_type", "object_id")
    object_name = models.CharField(max_length=200, help_text="What the object was called then.")
    action = models.CharField(max_length=10, choices=Action)
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="audit_entries",
        help_text="Empty: the system itself.",
    )
    changes = models.JSONField(
        default=dict, help_text="Column: [before, after]; foreign keys as they are stored."
    )
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-at", "-id"]
        indexes = [
            models.Index(fields=["content_type", "object_id", "-at"], name="audit_by_object"),
            # A page of the trail is a piece of one of these, whatever it is narrowed by.
            models.Index(fields=["-at", "-id"], name="audit_recent"),
            models.Index(fields=["actor", "-at", "-id"], name="audit_by_actor"),
            models.Index(fields=["content_type", "-at", "-id"], name="audit_by_kind"),
            models.Index(fields=["action", "-at", "-id"], name="audit_by_action"),
        ]
        verbose_name_plural = "audit entries"

    def __str__(self) -> str:
        return f"{self.object_name} {self.action}"
