"""The list of runs, a run's page, and what is started or ended from there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.contrib import admin, messages
from django.db import DatabaseError, InterfaceError, transaction
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from backup_tasks import ledger, moments
from backup_tasks.admin import approvals, certificates, content, home, merging, starting, timeline
from backup_tasks.admin.backup_options import BackupOptions
from backup_tasks.admin.confirmation import PromoteConfirmation
from backup_tasks.admin.display import KINDS, badge, duration, kind_of, moment
from backup_tasks.admin.flower import run_in_flower
from backup_tasks.admin.protection import protection
from backup_tasks.admin.read_only import (
    START_BACKUP,
    START_RESTORE,
    ReadOnlyAdmin,
    back_to,
    require,
)
from backup_tasks.admin.summary import permission_for, summary_of
from backup_tasks.conf import backup_settings
from backup_tasks.error_classification import explain
from backup_tasks.errors import BackupError
from backup_tasks.models import Package, Run, Step
from backup_tasks.restore import publications
from backup_tasks.runs import chains
from backup_tasks.status.packages import in_index

_STARTED_BY = {
    "command": "the command line",
    "admin": "the admin",
    "schedule": "the schedule",
    "run": "the run before it",
}


class KindFilter(admin.SimpleListFilter):
    """By kind, in the words of the pages."""

    title = "kind"
    parameter_name = "kind"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return all kinds."""
        return list(KINDS.items())

    def queryset(self, request: HttpRequest, queryset: QuerySet[Run]) -> QuerySet[Run]:
        """Return the runs of the chosen kind."""
        return queryset.filter(kind=self.value()) if self.value() else queryset


@admin.register(Run)
class RunAdmin(ReadOnlyAdmin):
    """The list of runs, and the buttons that start, resume and cancel them."""

    page_template = "backup_tasks/run.html"
    list_display = ["result", "which", "started", "took", "asked_by"]
    list_display_links = ["which"]
    list_filter = ["state", KindFilter]
    search_fields = ["id", "package", "requested_by"]
    list_per_page = 50
    show_full_result_count = False
    change_list_template = "admin/backup_tasks/run/change_list.html"

    @admin.display(description="state", ordering="state")
    def result(self, run: Run) -> SafeString:
        """The state."""
        return badge(run.state)

    @admin.display(description="run and its package", ordering="kind")
    def which(self, run: Run) -> SafeString:
        """The kind in words, the name that messages and Flower use, and the package."""
        package = format_html("<br><small>{}</small>", run.package) if run.package else ""
        return format_html("{}<br><small>{}</small>{}", kind_of(run), run.pk, package)

    @admin.display(description="started", ordering="created_at")
    def started(self, run: Run) -> str:
        """When it was asked for."""
        return moment(run.created_at)

    @admin.display(description="took")
    def took(self, run: Run) -> str:
        """How long it took, or has taken until now."""
        return duration(run.started_at, run.finished_at)

    @admin.display(description="by", ordering="requested_by")
    def asked_by(self, run: Run) -> str:
        """Who or what started it."""
        return run.requested_by or _STARTED_BY.get(run.trigger, run.trigger)

    def get_urls(self) -> list[URLPattern]:
        """Add the addresses of the buttons."""
        view = self.admin_site.admin_view
        return [
            path("home/", view(home.fragment), name="backup_tasks_run_home"),
            path("back-up/", view(self.back_up), name="backup_tasks_run_back_up"),
            path("back-up-with/", view(self.back_up_with), name="backup_tasks_run_back_up_with"),
            path("reset/", view(self.reset), name="backup_tasks_run_reset"),
            path("<str:run_id>/resume/", view(self.resume), name="backup_tasks_run_resume"),
            path("<str:run_id>/cancel/", view(self.cancel), name="backup_tasks_run_cancel"),
            path("<str:run_id>/merge/", view(self.merge), name="backup_tasks_run_merge"),
            path(
                "<str:run_id>/certificate/<str:format>/",
                view(self.certificate),
                name="backup_tasks_run_certificate",
            ),
            *super().get_urls(),
        ]

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show the list, with what last succeeded above it."""
        more = {
            "title": "Runs",
            "protection": protection(in_index()),
            "waiting": approvals.waiting(),
            "may_back_up": request.user.has_perm(START_BACKUP),
            "may_restore": request.user.has_perm(START_RESTORE),
        }
        return super().changelist_view(request, {**more, **(extra_context or {})})

    def page_of(self, request: HttpRequest, run: Run) -> dict[str, Any]:
        """Show a run's page."""
        steps = list(run.steps.order_by("position"))
        active = run.state in Run.ACTIVE
        step = ledger.current_step(run)
        due = step.lease_until if step else None
        at_work = ledger.is_at_work(run)
        allowed = request.user.has_perm(permission_for(run))
        overdue = due is not None and due < moments.now()
        return self.page_context(
            request,
            run.pk,
            run=run,
            kind=kind_of(run),
            badge=badge(run.state),
            summary=summary_of(run, steps),
            active=active or at_work,
            timeline=timeline.timeline_of(run, steps),
            table=timeline.table_of(run.report),
            not_compared=timeline.not_compared(run, steps),
            took=duration(run.started_at, run.finished_at),
            started_by=_STARTED_BY.get(run.trigger, run.trigger),
            asked_for=list(timeline.asked_for(run)),
            explained=[line for step in steps for line in step.result.get("packages", ())],
            pruned=_pruned(steps),
            may_prune=_is_preview(run) and request.user.has_perm(START_BACKUP),
            package_row=Package.objects.filter(name=run.package).first() if run.package else None,
            flower_url=run_in_flower(run.pk) if run.on_workers else "",
            may_resume=allowed
            and not at_work
            and (run.state == Run.State.FAILED or (active and overdue)),
            may_cancel=allowed and active,
            certificate=run.pk in certificates.by_run([run]),
            merge=merging.plan_of(run),
            may_merge=request.user.has_perm(START_RESTORE) and merging.can_be_merged(run),
        )

    @transaction.non_atomic_requests
    def back_up(self, request: HttpRequest) -> HttpResponse:
        """Start a backup of everything."""
        require(request, START_BACKUP)
        if (page := back_to(request, "admin:backup_tasks_run_changelist")) is not None:
            return page
        back = reverse("admin:backup_tasks_run_changelist")
        return starting.start_on_workers(request, Run.Kind.BACKUP, {}, back=back)

    @transaction.non_atomic_requests
    def back_up_with(self, request: HttpRequest) -> HttpResponse:
        """Ask what a backup is to hold, and how; then start it."""
        require(request, START_BACKUP)
        form = BackupOptions(request.POST or None)
        if request.method == "POST" and form.is_valid():
            here = reverse("admin:backup_tasks_run_back_up_with")
            return starting.start_on_workers(request, Run.Kind.BACKUP, form.params(), back=here)
        page = self.page_context(request, "Back up with options", form=form)
        return TemplateResponse(request, "backup_tasks/back_up.html", page)

    @transaction.non_atomic_requests
    def reset(self, request: HttpRequest) -> HttpResponse:
        """Show what a reset would do; start it once the project's name was typed."""
        require(request, START_RESTORE)
        here = reverse("admin:backup_tasks_run_reset")
        project = backup_settings().project
        form = PromoteConfirmation(
            request.POST or None,
            expected=project,
            what="the name of the project",
            publications=publications.of_live(),
        )
        if request.method == "POST" and form.is_valid():
            return starting.start_on_workers(
                request, Run.Kind.REINIT, form.params(), back=here, confirmed=f"typed {project}"
            )
        try:
            changes = content.changes(content.live(), None)
        except (BackupError, DatabaseError, InterfaceError) as raised:
            starting.tell_error(request, explain(raised))
            changes = []
        page = self.page_context(
            request,
            f"Reset {project} to its defaults?",
            form=form,
            changes=changes,
            undo_days=backup_settings().undo_for.days,
            writer=active_writer(),
        )
        return TemplateResponse(request, "backup_tasks/reset.html", page)

    @transaction.non_atomic_requests
    def resume(self, request: HttpRequest, run_id: str) -> HttpResponse:
        """Hand a failed or abandoned run to the workers, from its first unfinished step."""
        self._find(request, run_id)
        if (page := back_to(request, "admin:backup_tasks_run_change", run_id)) is not None:
            return page
        try:
            starting.must_reach_workers(
                f"Nothing was changed. Start the broker, then press Resume again; without it, use "
                f"the command line: manage.py resume_run {run_id}."
            )
            run = chains.resume(
                run_id,
                on_workers=True,
                trigger="admin",
                requested_by=request.user.get_username(),
            )
        except (BackupError, DatabaseError, InterfaceError) as raised:
            starting.tell_error(request, explain(raised))
        else:
            resumed = starting.hand_over(request, run)
            if resumed.state != Run.State.FAILED:
                messages.success(request, "Resumed from its first unfinished step.")
        return redirect(starting.run_url(run_id))

    @transaction.non_atomic_requests
    def cancel(self, request: HttpRequest, run_id: str) -> HttpResponse:
        """End an active run."""
        self._find(request, run_id)
        if (page := back_to(request, "admin:backup_tasks_run_change", run_id)) is not None:
            return page
        try:
            chains.cancel(run_id, trigger="admin", requested_by=request.user.get_username())
        except (BackupError, DatabaseError, InterfaceError) as raised:
            starting.tell_error(request, explain(raised))
        else:
            messages.success(request, "The run is cancelled.")
        return redirect(starting.run_url(run_id))

    @transaction.non_atomic_requests
    def merge(self, request: HttpRequest, run_id: str) -> HttpResponseBase:
        """Show the plan that a run has made; merge once the package's name was typed."""
        require(request, START_RESTORE)
        run = self.find(request, run_id)
        if not merging.can_be_merged(run):
            messages.error(request, "There is no plan here that could be merged.")
            return redirect(starting.run_url(run_id))
        page = self.page_context(request, "Merge this into live?", writer=active_writer())
        return merging.confirm(request, run, page)

    def certificate(self, request: HttpRequest, run_id: str, format: str) -> HttpResponse:
        """Show or download the certificate of a drill."""
        return certificates.answer(request, self.find(request, run_id), format)

    def _find(self, request: HttpRequest, run_id: str) -> Run:
        run: Run | None = self.get_object(request, run_id)
        if run is None:
            require(request, START_RESTORE)  # nobody learns which runs there are by guessing
            raise Http404(f"There is no run {run_id}.")
        require(request, permission_for(run))
        return run


def active_writer() -> Run | None:
    """Return the run that may write to live now: no other one can be started that does."""
    return Run.objects.exclude(live_lock=None).first()


def _is_preview(run: Run) -> bool:
    """Whether it is a dry run of prune that has said what would go."""
    dry = run.kind == Run.Kind.PRUNE and bool(run.params.get("dry_run"))
    return dry and run.state == Run.State.SUCCEEDED


def _pruned(steps: Sequence[Step]) -> dict[str, list[str]]:
    """Return what a prune removed beside packages, or would; empty where that is nothing."""
    results = [step.result for step in steps if step.name == "prune"]
    found = {
        name: [str(one) for result in results for one in result.get(name, ())]
        for name in ("expired", "left_behind")
    }
    return found if any(found.values()) else {}
