"""The undo points: what the last restores and resets replaced, and the button that undoes one."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.safestring import SafeString

from backup_tasks.admin import starting
from backup_tasks.admin.confirmation import UndoConfirmation
from backup_tasks.admin.display import KINDS, ago, moment
from backup_tasks.admin.read_only import START_RESTORE, ReadOnlyAdmin, require
from backup_tasks.admin.runs import active_writer
from backup_tasks.admin.summary import last_undo_point
from backup_tasks.models import Run, UndoPoint
from backup_tasks.restore import publications
from backup_tasks.restore.undo_points import files_in_words


@admin.register(UndoPoint)
class UndoPointAdmin(ReadOnlyAdmin):
    """The list of undo points. Only the newest can be undone: later changes depend on it."""

    list_display = ["replaced_by", "what", "replaced", "files_of", "kept_until", "undone"]
    list_display_links = ["what"]
    list_select_related = ["run"]
    search_fields = ["run__id"]
    change_list_template = "admin/backup_tasks/undopoint/change_list.html"

    @admin.display(description="replaced by", ordering="run")
    def replaced_by(self, point: UndoPoint) -> SafeString:
        """The run that replaced it."""
        return starting.run_link(point.run)

    @admin.display(description="kind")
    def what(self, point: UndoPoint) -> str:
        """The kind of that run."""
        return KINDS.get(point.run.kind, point.run.kind)

    @admin.display(description="replaced at", ordering="created_at")
    def replaced(self, point: UndoPoint) -> str:
        """When live was replaced."""
        return moment(point.created_at)

    @admin.display(description="files of storages")
    def files_of(self, point: UndoPoint) -> str:
        """The storages whose files were replaced too."""
        return files_in_words(point)

    @admin.display(description="kept until", ordering="expires_at")
    def kept_until(self, point: UndoPoint) -> str:
        """Until when what was replaced is kept."""
        return moment(point.expires_at)

    @admin.display(description="undone at", ordering="undone_at")
    def undone(self, point: UndoPoint) -> str:
        """When it was brought back, if it was."""
        return moment(point.undone_at)

    def get_urls(self) -> list[URLPattern]:
        """Add the address of the button."""
        view = self.admin_site.admin_view
        return [
            path("undo/", view(self.undo), name="backup_tasks_undopoint_undo"),
            *super().get_urls(),
        ]

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show the list."""
        more = {
            "title": "What can be undone",
            "last": last_undo_point(),
            "may_restore": request.user.has_perm(START_RESTORE),
        }
        return super().changelist_view(request, {**more, **(extra_context or {})})

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """The page of the run that replaced it says all there is to say."""
        return redirect("admin:backup_tasks_run_change", unquote(object_id))

    @transaction.non_atomic_requests
    def undo(self, request: HttpRequest) -> HttpResponse:
        """Show what an undo would do; start it once the run that is to be undone was typed."""
        require(request, START_RESTORE)
        point = last_undo_point()
        expected = point.run_id if point else ""
        form = UndoConfirmation(
            request.POST or None,
            expected=expected,
            what="the name of the run that is to be undone",
            publications=publications.of_live() if point else (),
        )
        if point and request.method == "POST" and form.is_valid():
            here = reverse("admin:backup_tasks_undopoint_undo")
            return starting.start_on_workers(
                request, Run.Kind.UNDO, form.params(), back=here, confirmed=f"typed {expected}"
            )
        page = self.page_context(
            request,
            "Undo the last restore or reset?",
            form=form,
            point=point,
            kind=KINDS.get(point.run.kind, point.run.kind) if point else "",
            files=files_in_words(point) if point else "",
            age=ago(point.created_at) if point else "",
            writer=active_writer(),
        )
        return TemplateResponse(request, "backup_tasks/undo.html", page)
