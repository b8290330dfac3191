"""Serves files to those who may read the document that they belong to."""

from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import FileResponse, Http404, HttpRequest
from django.shortcuts import get_object_or_404
from django.views.decorators.http import require_safe

from edms.documents.models import AccessLog, Attachment, DocumentVersion
from edms.documents.services import log_access
from edms.pages.reader import check_readable, reader_of

# What a browser shows without running anything in it. Everything else is downloaded.
_SHOWN_INLINE = {"application/pdf", "text/plain", "image/png", "image/jpeg"}


@login_required
@require_safe
def version_file(request: HttpRequest, pk: int) -> FileResponse:
    """The file of one version of a document."""
    versions = DocumentVersion.objects.select_related("document")
    return _served(request, get_object_or_404(versions, pk=pk))


@login_required
@require_safe
def attachment_file(request: HttpRequest, pk: UUID) -> FileResponse:
    """A file that is attached to a document."""
    attachments = Attachment.objects.select_related("document")
    return _served(request, get_object_or_404(attachments, pk=pk))


def _served(request: HttpRequest, stored: DocumentVersion | Attachment) -> FileResponse:
    reader = reader_of(request)
    check_readable(stored.document, reader, stored.file_name)
    try:
        content = stored.file.open("rb")
    except FileNotFoundError as error:
        raise Http404(f"The file {stored.file.name} is missing in the storage.") from error
    log_access(
        stored.document,
        reader.user,
        AccessLog.Action.DOWNLOAD,
        file_name=stored.file_name,
        address=reader.address,
    )
    response = FileResponse(
        content,
        as_attachment=stored.content_type not in _SHOWN_INLINE,
        filename=stored.file_name,
        content_type=stored.content_type,
    )
    response.headers["Cache-Control"] = "private, no-store"
    return response
