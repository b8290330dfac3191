"""Moving documents through their life: the buttons of the document page."""

from collections.abc import Callable

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_POST

from edms.pages.forms import ReviewForm
from edms.pages.reader import readable, reader_of
from edms.workflows import services
from edms.workflows.errors import NotYours, WorkflowError
from edms.workflows.signing import MEANINGS, confirmed


@login_required
@require_POST
def move(request: HttpRequest, number: str) -> HttpResponse:
    """Move the document's open workflow to the state that the button names."""
    reader = reader_of(request)
    document = readable(number, reader)
    workflow = get_object_or_404(document.workflows, completed_at__isnull=True)
    to_state = request.POST.get("to_state", "")
    comment, password = request.POST.get("comment", ""), request.POST.get("password", "")
    signing = None
    if password and to_state in MEANINGS:
        signing = confirmed(request, password, MEANINGS[to_state])
        if signing is None:
            messages.error(request, "The password is wrong. Nothing was signed.")
            return redirect("document", number)
    return done(
        request,
        number,
        lambda: services.advance(workflow, to_state, reader.user, comment, signing=signing),
    )


@login_required
@require_POST
def retire(request: HttpRequest, number: str) -> HttpResponse:
    """Make an effective document obsolete."""
    reader = reader_of(request)
    document = readable(number, reader)
    comment = request.POST.get("comment", "")
    return done(request, number, lambda: services.make_obsolete(document, reader.user, comment))


@login_required
@require_POST
def complete_review(request: HttpRequest, number: str) -> HttpResponse:
    """Record what the periodic review of a document found."""
    reader = reader_of(request)
    document = readable(number, reader)
    review = get_object_or_404(document.periodic_reviews, completed_at__isnull=True)
    form = ReviewForm(request.POST)
    if not form.is_valid():
        messages.error(request, "Choose what the review found.")
        return redirect("document", number)
    data = form.cleaned_data
    return done(
        request,
        number,
        lambda: services.complete_review(review, data["outcome"], reader.user, data["comment"]),
    )


def done(request: HttpRequest, number: str, act: Callable[[], object]) -> HttpResponse:
    """Act; say what came of it. Who may not gets a 403, who is too early a message."""
    try:
        act()
    except NotYours as error:
        raise PermissionDenied(str(error)) from error
    except WorkflowError as error:
        messages.error(request, str(error))
    else:
        messages.success(request, "Done.")
    return redirect("document", number)
