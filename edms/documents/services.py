"""Changes documents: new versions, attachments, comments.

Each service runs in one transaction and raises `DocumentError` where the rules forbid it. What
changes a document's *state* is in `edms.workflows.services`.
"""

import hashlib
import mimetypes
from dataclasses import dataclass
from pathlib import PurePosixPath

from django.core.files.base import File
from django.db import transaction
from django.db.models import Max
from django.utils import timezone

from edms.documents.errors import DocumentError, NotTheirs
from edms.documents.models import AccessLog, Attachment, Comment, Document, DocumentVersion
from edms.users.models import User


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What is recorded of an uploaded file."""

    file_name: str
    content_type: str
    size: int
    sha256: str


def facts_of(file: "File[bytes]") -> Facts:
    """Read the file once, in pieces, and return what is to be recorded of it."""
    name = PurePosixPath((file.name or "file").replace("\\", "/")).name
    digest, size = hashlib.sha256(), 0
    for piece in file.chunks():
        digest.update(piece)
        size += len(piece)
    file.seek(0)
    # The name decides, not what the browser claims: it decides later how a reader's browser
    # treats the file.
    kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
    return Facts(file_name=name, content_type=kind, size=size, sha256=digest.hexdigest())


def add_version(
    document: Document, file: "File[bytes]", by: User, change_summary: str = ""
) -> DocumentVersion:
    """Upload a new draft of a document: its author only, and only while it is a draft."""
    facts = facts_of(file)
    with transaction.atomic():
        locked = Document.objects.select_for_update().get(pk=document.pk)
        if locked.author_id != by.pk:
            raise NotTheirs("Only the author uploads versions of a document.")
        if locked.state_id != "draft":
            raise DocumentError(
                f"{locked.document_number} is no draft: its file can't change any more."
            )
        if not facts.size:
            raise DocumentError(f"{facts.file_name} is empty.")
        major, minor = _next_draft(locked)
        version = DocumentVersion(
            document=locked,
            major=major,
            minor=minor,
            change_summary=change_summary,
            uploaded_by=by,
            **vars(facts),
        )
        version.file.save(facts.file_name, file, save=False)
        version.save()
        locked.save(update_fields=["updated_at"])
    return version


def _next_draft(document: Document) -> tuple[int, int]:
    """The drafts of what supersedes version 2.0 are 2.1, 2.2, …; they become 3.0."""
    newest = document.versions.order_by("-position").first()
    if newest is not None:
        return newest.major, newest.minor + 1
    if document.supersedes is None:
        return 0, 1
    before = document.supersedes.versions.aggregate(last=Max("major"))
    return before["last"] or 0, 1


def attach(document: Document, file: "File[bytes]", by: User) -> Attachment:
    """Attach a file to a document that is being written; names are unique per document."""
    facts = facts_of(file)
    with transaction.atomic():
        locked = Document.objects.select_for_update().get(pk=document.pk)
        if locked.author_id != by.pk:
            raise NotTheirs("Only the author attaches files to a document.")
        if locked.state_id != "draft":
            raise DocumentError(f"{locked.document_number} is no draft: it takes no more files.")
        if locked.attachments.filter(file_name=facts.file_name).exists():
            raise DocumentError(f"A file named {facts.file_name} is attached already.")
        attachment = Attachment(document=locked, uploaded_by=by, **vars(facts))
        attachment.file.save(facts.file_name, file, save=False)
        attachment.save()
    return attachment


def comment(document: Document, text: str, by: User, parent: Comment | None = None) -> Comment:
    """Say something about a document, or answer to a comment on it."""
    if not text.strip():
        raise DocumentError("The comment is empty.")
    if parent is not None and parent.document_id != document.pk:
        raise DocumentError("An answer belongs to a comment on the same document.")
    with transaction.atomic():
        # The document's row is the lock that keeps two comments from getting one ordinal.
        Document.objects.select_for_update().get(pk=document.pk)
        last = Comment.everything.filter(document=document).aggregate(last=Max("ordinal"))
        said: Comment = Comment.objects.create(
            document=document,
            ordinal=(last["last"] or 0) + 1,
            parent=parent,
            author=by,
            text=text.strip(),
        )
    return said


def withdraw(said: Comment, by: User) -> None:
    """Take back one's own comment: it stays on record, pages no longer show it."""
    if said.author_id != by.pk:
        raise NotTheirs("Only its author withdraws a comment.")
    said.withdrawn_at = timezone.now()
    said.save(update_fields=["withdrawn_at"])


def log_access(
    document: Document,
    user: User,
    action: AccessLog.Action,
    *,
    file_name: str = "",
    address: str | None = None,
) -> None:
    """Record that somebody looked at a document or one of its files, or was refused."""
    AccessLog.objects.create(
        document=document, user=user, action=action, file_name=file_name, address=address
    )
