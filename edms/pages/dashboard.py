"""The first page: what waits for me, what I was told, what changed lately."""

from datetime import timedelta

from django.contrib.auth.decorators import login_required
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from edms.notices.services import mark_read
from edms.pages.reader import reader_of
from edms.users.models import today
from edms.workflows.models import DocumentWorkflow, PeriodicReview
from edms.workflows.reading import open_tasks

SHOWN = 20
REVIEWS_AHEAD = timedelta(days=60)


@login_required
@require_safe
def dashboard(request: HttpRequest) -> HttpResponse:
    """Show my tasks, my notices and the latest documents."""
    reader = reader_of(request)
    mine = Q(assignee=reader.user)
    if reader.publishes:
        mine |= Q(state="approved")
    tasks = DocumentWorkflow.objects.filter(mine, completed_at__isnull=True)
    reviews = PeriodicReview.objects.filter(
        reviewer=reader.user, completed_at__isnull=True, due_date__lte=today() + REVIEWS_AHEAD
    )
    notices = reader.user.notifications.filter(read_at__isnull=True)
    recent = reader.documents().order_by("-updated_at")
    return render(
        request,
        "edms/dashboard.html",
        {
            "reader": reader,
            "today": today(),
            "tasks": tasks.select_related("document__document_type", "state").order_by(
                "due_date", "pk"
            )[:SHOWN],
            "reviews": reviews.select_related("document").order_by("due_date")[:SHOWN],
            "readings": open_tasks(reader.user)
            .filter(document__in=reader.documents())
            .select_related("document")
            .order_by("document__effective_date", "pk")[:SHOWN],
            "notices": notices.select_related("document")[:SHOWN],
            "recent": recent.select_related("state", "document_type", "author")[:10],
        },
    )


@login_required
@require_POST
def notices_read(request: HttpRequest) -> HttpResponse:
    """Take my notices off the dashboard."""
    mark_read(reader_of(request).user)
    return redirect("dashboard")
