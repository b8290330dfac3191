"""Approvals: what would replace live and was asked for by one person, and the button by which
another one starts it. See `BACKUP["FOUR_EYES"]`."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.contrib import admin, messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path, reverse
from django.utils.safestring import SafeString

from backup_tasks import moments
from backup_tasks.admin import starting
from backup_tasks.admin.display import KINDS, ago, badge, moment
from backup_tasks.admin.read_only import START_RESTORE, ReadOnlyAdmin, back_to, require
from backup_tasks.admin.summary import last_undo_point
from backup_tasks.admin.timeline import parameters
from backup_tasks.evidence import audit
from backup_tasks.models import ApprovalRequest, Run

LAPSES = timedelta(hours=24)
"""After that, what was asked for may not be what is wanted."""

_State = ApprovalRequest.State


@admin.register(ApprovalRequest)
class ApprovalRequestAdmin(ReadOnlyAdmin):
    """The list of requests, and a page for each with the buttons."""

    page_template = "backup_tasks/approval.html"
    list_display = ["which", "how_it_stands", "asked_by", "asked", "decided"]
    list_display_links = ["which"]
    list_filter = ["state"]
    search_fields = ["requested_by", "decided_by", "confirmed"]

    @admin.display(description="what", ordering="kind")
    def which(self, asked: ApprovalRequest) -> str:
        """The kind of the run."""
        return KINDS.get(asked.kind, asked.kind)

    @admin.display(description="state", ordering="state")
    def how_it_stands(self, asked: ApprovalRequest) -> SafeString:
        """Whether it waits, was approved, was refused, or has lapsed."""
        return badge("lapsed" if has_lapsed(asked) else asked.state)

    @admin.display(description="asked for by", ordering="requested_by")
    def asked_by(self, asked: ApprovalRequest) -> str:
        """Who confirmed it first."""
        return asked.requested_by

    @admin.display(description="asked for", ordering="created_at")
    def asked(self, asked: ApprovalRequest) -> str:
        """When that was."""
        return moment(asked.created_at)

    @admin.display(description="decided by", ordering="decided_by")
    def decided(self, asked: ApprovalRequest) -> str:
        """Who approved or refused it, and when."""
        return f"{asked.decided_by}, {moment(asked.decided_at)}" if asked.decided_by else "–"

    def get_urls(self) -> list[URLPattern]:
        """Add the addresses of the buttons."""
        view, name = self.admin_site.admin_view, "backup_tasks_approvalrequest"
        return [
            path("<int:pk>/approve/", view(self.approve), name=f"{name}_approve"),
            path("<int:pk>/refuse/", view(self.refuse), name=f"{name}_refuse"),
            *super().get_urls(),
        ]

    def page_of(self, request: HttpRequest, asked: ApprovalRequest) -> dict[str, Any]:
        """Show a request."""
        waits = asked.state == _State.WAITING and not has_lapsed(asked)
        own = asked.requested_by == request.user.get_username()
        may_decide = waits and request.user.has_perm(START_RESTORE)
        return self.page_context(
            request,
            f"{self.which(asked)}, asked for by {asked.requested_by}",
            asked=asked,
            badge=self.how_it_stands(asked),
            age=ago(asked.created_at),
            asked_for=list(parameters(asked.kind, asked.params)),
            decided=self.decided(asked),
            may_approve=may_decide and not own,
            may_refuse=may_decide,
            own=own and waits,
            unknown=asked.state == _State.APPROVED and asked.run_id is None,
        )

    @transaction.non_atomic_requests
    def approve(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Start what was asked for."""
        require(request, START_RESTORE)
        here = "admin:backup_tasks_approvalrequest_change"
        if (page := back_to(request, here, pk)) is not None:
            return page
        asked = self.find(request, str(pk))
        if asked.requested_by == request.user.get_username():
            messages.error(request, "Another person has to approve what you have asked for.")
            return redirect(here, pk)
        if asked.kind == Run.Kind.UNDO and not _undoes_the_same(asked):
            messages.error(request, "What an undo would undo now is not what was confirmed.")
            return redirect(here, pk)
        if not self._decide(request, asked, _State.APPROVED):
            return redirect(here, pk)
        by = asked.requested_by
        run = starting.start(
            request, asked.kind, asked.params, confirmed=asked.confirmed, requested_by=by
        )
        if run is None:  # a message says why; it may be approved again
            again = {"state": _State.WAITING, "decided_by": "", "decided_at": None}
            ApprovalRequest.objects.filter(pk=pk).update(**again)
            return redirect(here, pk)
        ApprovalRequest.objects.filter(pk=pk).update(run=run)
        by = request.user.get_username()
        audit.record("approved", run.pk, through="admin", by=by, details={"request": pk})
        return redirect(starting.run_url(run.pk))

    @transaction.non_atomic_requests
    def refuse(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Start nothing. Whoever asked may take it back so."""
        require(request, START_RESTORE)
        here = "admin:backup_tasks_approvalrequest_change"
        if (page := back_to(request, here, pk)) is not None:
            return page
        asked = self.find(request, str(pk))
        if self._decide(request, asked, _State.REFUSED):
            by = request.user.get_username()
            details = {"request": pk, "requested_by": asked.requested_by}
            audit.record("refused", asked.kind, through="admin", by=by, details=details)
            messages.success(request, "It is refused. Nothing was started.")
        return redirect(reverse(here, args=[pk]))

    def _decide(self, request: HttpRequest, asked: ApprovalRequest, state: str) -> bool:
        """Decide, once: of two people who press at the same time one does. Return whether this
        did."""
        waiting = ApprovalRequest.objects.filter(pk=asked.pk, state=_State.WAITING)
        if has_lapsed(asked):
            messages.error(request, "It was asked for too long ago. Ask for it anew.")
            return False
        by, at = request.user.get_username(), moments.now()
        if waiting.update(state=state, decided_by=by, decided_at=at):
            return True
        messages.error(request, "Somebody has decided on it already.")
        return False


def _undoes_the_same(asked: ApprovalRequest) -> bool:
    """Whether the last restore is still the one whose undo was confirmed."""
    point = last_undo_point()
    return point is not None and asked.confirmed == f"typed {point.run_id}"


def has_lapsed(asked: ApprovalRequest) -> bool:
    """Whether nobody decided on it in time."""
    return asked.state == _State.WAITING and asked.created_at < moments.now() - LAPSES


def waiting() -> int:
    """Return how many requests wait for somebody to decide."""
    since = moments.now() - LAPSES
    return ApprovalRequest.objects.filter(state=_State.WAITING, created_at__gte=since).count()
