"""Tells people things, and forgets what they have read."""

from collections.abc import Iterable

from django.utils import timezone

from edms.documents.models import Document
from edms.notices.models import Notification
from edms.users.models import User


def notify(recipients: Iterable[int | None], document: Document, text: str) -> None:
    """Put `text` on the dashboards of the users with these primary keys; None is skipped."""
    Notification.objects.bulk_create(
        Notification(recipient_id=pk, document=document, text=text[:300])
        for pk in sorted({pk for pk in recipients if pk is not None})
    )


def mark_read(user: User) -> int:
    """Mark all that `user` was told as read; returns how many were new."""
    return user.notifications.filter(read_at__isnull=True).update(read_at=timezone.now())
