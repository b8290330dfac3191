"""What people left behind in the demonstration: comments, looks, notices, a planned review."""

import uuid
from datetime import UTC, date, datetime, timedelta

from edms.documents.models import AccessLog, Comment, Document
from edms.notices.models import Notification
from edms.users.models import User
from edms.workflows.models import PeriodicReview, ReadingTask

_NAMESPACE = uuid.UUID("6f1c6c0e-5f0a-4d0e-9a52-0b9f6f1a2d3c")
_FIRST = datetime(2026, 4, 27, 9, 30, 15, 654321, tzinfo=UTC)

# author, ordinal answered to, text, withdrawn
COMMENTS = (
    ("ben", None, "Chapter 2 should name who keeps the paper originals.", False),
    ("ada", 1, "It will: document control, for ten years.", False),
    ("finn", None, "Nobody reads this.", True),
    ("cleo", 3, "Let us keep to the subject.", False),
    ("ben", 2, "Good, thank you – “ten years” also holds for forms?", False),
)

LOOKS = (
    ("finn", "SOP-2025-0001", "view", ""),
    ("finn", "SOP-2025-0001", "download", "control-of-documents.pdf"),
    ("finn", "POL-2026-0001", "refused", ""),
    ("ben", "SOP-2026-0001", "view", ""),
)

NOTICES = (
    ("ben", "SOP-2026-0001", "SOP-2026-0001: under review – Now with electronic signatures."),
    ("eva", "POL-2026-0001", "POL-2026-0001: draft – Section 3 contradicts the password rules."),
    ("gil", "WI-2026-0001", "WI-2026-0001: reviewed – Checked against SC-07."),
)

# Who is to read SOP-2025-0001, and when they confirmed it.
READERS = {
    "eva": datetime(2025, 4, 2, 8, 12, 30, 11, tzinfo=UTC),
    "finn": None,
    "gil": datetime(2025, 4, 3, 6, 55, 1, 900001, tzinfo=UTC),
}


def seed_traces(people: dict[str, User]) -> None:
    """Add the traces that are missing."""
    _seed_comments(Document.objects.get(document_number="SOP-2026-0001"), people)
    numbers = {number for _, number, *_ in (*LOOKS, *NOTICES)}
    documents = Document.objects.in_bulk(numbers, field_name="document_number")
    for row, (name, number, action, file_name) in enumerate(LOOKS):
        AccessLog.objects.get_or_create(
            event_id=uuid.uuid5(_NAMESPACE, f"look {row}"),
            defaults={
                "document": documents[number],
                "user": people[name],
                "action": action,
                "file_name": file_name,
                "address": f"192.0.2.{row + 10}",
                "at": _FIRST + timedelta(hours=row, microseconds=row),
            },
        )
    for row, (name, number, text) in enumerate(NOTICES):
        Notification.objects.get_or_create(
            event_id=uuid.uuid5(_NAMESPACE, f"notice {row}"),
            defaults={
                "recipient": people[name],
                "document": documents[number],
                "text": text,
                "created_at": _FIRST + timedelta(days=row, microseconds=1),
                "read_at": _FIRST + timedelta(days=9) if row == 2 else None,
            },
        )
    _seed_review(documents["SOP-2025-0001"], people)
    _seed_readings(documents["SOP-2025-0001"], people)


def _seed_comments(document: Document, people: dict[str, User]) -> None:
    said: dict[int, Comment] = {}
    for ordinal, (name, answered, text, withdrawn) in enumerate(COMMENTS, start=1):
        at = _FIRST + timedelta(hours=2 * ordinal, microseconds=ordinal)
        said[ordinal], _ = Comment.everything.get_or_create(
            document=document,
            ordinal=ordinal,
            defaults={
                "parent": said[answered] if answered else None,
                "author": people[name],
                "text": text,
                "created_at": at,
                "withdrawn_at": at + timedelta(minutes=3) if withdrawn else None,
            },
        )


def _seed_review(document: Document, people: dict[str, User]) -> None:
    PeriodicReview.objects.get_or_create(
        document=document,
        sequence=1,
        defaults={
            "due_date": date(2026, 3, 1),
            "reviewer": people["ben"],
            "outcome": "confirmed",
            "comment": "Still how we work.",
            "completed_at": datetime(2026, 2, 20, 15, 0, 0, 5, tzinfo=UTC),
        },
    )
    PeriodicReview.objects.get_or_create(
        document=document,
        sequence=2,
        defaults={"due_date": date(2027, 3, 1), "reviewer": people["ben"]},
    )


def _seed_readings(document: Document, people: dict[str, User]) -> None:
    for name, confirmed_at in READERS.items():
        ReadingTask.objects.get_or_create(
            document=document,
            reader=people[name],
            defaults={
                "assigned_by": people["dan"],
                "assigned_at": datetime(2025, 3, 27, 16, 0, 0, 7, tzinfo=UTC),
                "confirmed_at": confirmed_at,
                "sha256": document.versions.get().sha256 if confirmed_at else "",
            },
        )
