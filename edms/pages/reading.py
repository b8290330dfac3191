"""“Read and understood” on the document page: who is to read it, and confirming that one has."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from edms.pages.forms import ReadersForm
from edms.pages.moving import done
from edms.pages.reader import readable, reader_of
from edms.workflows import reading


@login_required
@require_http_methods(["GET", "POST"])
def assign_readers(request: HttpRequest, number: str) -> HttpResponse:
    """Add people, and those of a department, who are to read the document."""
    reader = reader_of(request)
    document = readable(number, reader)
    if request.method == "GET":
        context = {"reader": reader, "form": ReadersForm(), "title": f"Who reads {number}"}
        return render(request, "edms/form.html", {**context, "button": "Ask them"})
    form = ReadersForm(request.POST)
    if not form.is_valid():
        messages.error(request, "Choose people of the list, or a department.")
        return redirect("document", number)
    return done(request, number, lambda: reading.assign(document, form.readers(), reader.user))


@login_required
@require_POST
def unassign_reader(request: HttpRequest, number: str, username: str) -> HttpResponse:
    """Take back a task that was not confirmed yet."""
    reader = reader_of(request)
    document = readable(number, reader)
    task = get_object_or_404(document.reading_tasks, reader__username=username)
    return done(request, number, lambda: reading.unassign(task, reader.user))


@login_required
@require_POST
def confirm_reading(request: HttpRequest, number: str) -> HttpResponse:
    """Confirm that I have read and understood the document."""
    reader = reader_of(request)
    document = readable(number, reader)
    task = get_object_or_404(document.reading_tasks, reader=reader.user)
    return done(request, number, lambda: reading.confirm(task, reader.user))
