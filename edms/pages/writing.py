"""Writing documents: a new one, a new version, an attachment, a comment."""

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.forms import Form
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from edms.documents import services
from edms.documents.errors import DocumentError, NotTheirs
from edms.documents.models import Comment, Document
from edms.pages.forms import AttachmentForm, CommentForm, DocumentForm, VersionForm
from edms.pages.reader import readable, reader_of
from edms.workflows.opening import open_document


@login_required
@require_http_methods(["GET", "POST"])
def new_document(request: HttpRequest) -> HttpResponse:
    """Write a new document; `?supersedes=NUMBER` writes the one that takes another's place."""
    reader = reader_of(request)
    if not reader.writes:
        raise PermissionDenied("You hold no role that writes documents.")
    superseded = request.GET.get("supersedes", "")
    old = readable(superseded, reader) if superseded else None
    if old is not None and old.state_id != "effective":
        messages.error(request, f"Only an effective document is revised; {superseded} is not one.")
        return redirect("document", superseded)
    form = DocumentForm(
        request.POST or None,
        request.FILES or None,
        author=reader.user,
        initial=_copied(old) if old else None,
    )
    if request.method == "POST" and form.is_valid():
        workflow = open_document(
            by=reader.user,
            file=form.cleaned_data["file"],
            tags=form.tags(),
            supersedes=old,
            **form.document_fields(),
        )
        number = workflow.document.document_number
        messages.success(request, f"{number} is a draft now. Send it to review when it is ready.")
        return redirect("document", number)
    status = 400 if form.errors else 200
    context = {"reader": reader, "form": form, "superseded": superseded}
    return render(request, "edms/new_document.html", context, status=status)


@login_required
@require_POST
def upload_version(request: HttpRequest, number: str) -> HttpResponse:
    """Upload a new version of a draft."""
    reader = reader_of(request)
    document = readable(number, reader)
    form = VersionForm(request.POST, request.FILES)
    if not form.is_valid():
        return _refused(request, number, form)
    data = form.cleaned_data
    try:
        version = services.add_version(document, data["file"], reader.user, data["change_summary"])
    except NotTheirs as error:
        raise PermissionDenied(str(error)) from error
    except DocumentError as error:
        messages.error(request, str(error))
    else:
        messages.success(request, f"Version {version.number} is uploaded.")
    return redirect("document", number)


@login_required
@require_POST
def attach(request: HttpRequest, number: str) -> HttpResponse:
    """Attach a file to a draft."""
    reader = reader_of(request)
    document = readable(number, reader)
    form = AttachmentForm(request.POST, request.FILES, prefix="attachment")
    if not form.is_valid():
        return _refused(request, number, form)
    try:
        attachment = services.attach(document, form.cleaned_data["file"], reader.user)
    except NotTheirs as error:
        raise PermissionDenied(str(error)) from error
    except DocumentError as error:
        messages.error(request, str(error))
    else:
        messages.success(request, f"{attachment.file_name} is attached.")
    return redirect("document", number)


@login_required
@require_POST
def comment(request: HttpRequest, number: str) -> HttpResponse:
    """Comment on a document, or answer a comment."""
    reader = reader_of(request)
    document = readable(number, reader)
    form = CommentForm(request.POST)
    if not form.is_valid():
        return _refused(request, number, form)
    ordinal = form.cleaned_data["parent"]
    parent = get_object_or_404(document.comments, ordinal=ordinal) if ordinal else None
    services.comment(document, form.cleaned_data["text"], reader.user, parent)
    return redirect(f"{_page(document)}#comments")


@login_required
@require_POST
def withdraw(request: HttpRequest, number: str, ordinal: int) -> HttpResponse:
    """Take back one's own comment."""
    reader = reader_of(request)
    document = readable(number, reader)
    said: Comment = get_object_or_404(document.comments, ordinal=ordinal)
    try:
        services.withdraw(said, reader.user)
    except NotTheirs as error:
        raise PermissionDenied(str(error)) from error
    return redirect(f"{_page(document)}#comments")


def _copied(old: Document) -> dict[str, Any]:
    names = ("title", "description", "document_type", "source")
    return {name: getattr(old, name) for name in names} | {"sensitivity": old.label}


def _page(document: Document) -> str:
    return redirect("document", document.document_number).url


def _refused(request: HttpRequest, number: str, form: Form) -> HttpResponse:
    for errors in form.errors.values():
        for error in errors:
            messages.error(request, str(error))
    return redirect("document", number)
