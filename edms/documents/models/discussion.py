"""What people say about a document, in threads."""

from typing import Any, ClassVar

from django.conf import settings
from django.db import models
from django.utils import timezone

from backup_tasks.rows.natural_keys import NaturalKeyManager, NaturalKeyModel, declared_paths
from edms.documents.models.document import Document


class CommentManager(NaturalKeyManager):
    """Hides withdrawn comments, except from who asks for one by its natural key."""

    def get_queryset(self) -> "models.QuerySet[Any]":
        """Return the comments that were not withdrawn."""
        return super().get_queryset().filter(withdrawn_at__isnull=True)

    def get_by_natural_key(self, *key: object) -> Any:
        """Return the comment, withdrawn or not: an answer may refer to a withdrawn one."""
        paths = declared_paths(self.model)
        return super().get_queryset().get(**dict(zip(paths, key, strict=True)))


class Comment(NaturalKeyModel):
    """A remark on a document, or an answer to one. Who withdraws theirs keeps it on record."""

    natural_key_fields = ("document", "ordinal")

    document = models.ForeignKey(Document, on_delete=models.CASCADE, related_name="comments")
    ordinal = models.PositiveIntegerField(help_text="1 for the document's first comment.")
    parent = models.ForeignKey(
        "self", on_delete=models.CASCADE, null=True, blank=True, related_name="answers"
    )
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="comments"
    )
    text = models.TextField()
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    withdrawn_at = models.DateTimeField(null=True, blank=True)

    objects: ClassVar[CommentManager] = CommentManager()
    everything: ClassVar[NaturalKeyManager] = NaturalKeyManager()

    class Meta:
        ordering = ["document", "ordinal"]
        constraints = [
            models.UniqueConstraint(
                fields=["document", "ordinal"], name="documents_comment_ordinal_once"
            ),
        ]

    def __str__(self) -> str:
        return self.text[:60]
