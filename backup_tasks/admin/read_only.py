"""The base of all pages: they show, and never edit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import BadRequest, PermissionDenied
from django.db.models import Model
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import redirect
from django.template.response import TemplateResponse

if TYPE_CHECKING:
    _ModelAdmin = admin.ModelAdmin[Any]
else:
    _ModelAdmin = admin.ModelAdmin  # the type parameter exists in the type stubs only

START_BACKUP = "backup_tasks.start_backup"
"""May start what reads live data: backups, verifications, drills."""

START_RESTORE = "backup_tasks.start_restore"
"""May start what replaces live data: restores, resets, undo."""

DOWNLOAD = "backup_tasks.download_package"
"""May take a copy of all data away."""


UPLOAD = "backup_tasks.upload_package"
"""May bring packages in, which are verified before they count."""


class ReadOnlyAdmin(_ModelAdmin):
    """A list and pages of rows that nobody edits. Who may start runs may see them too."""

    page_template = ""
    """Of the page of a row."""

    class Media:
        css = {"all": ["backup_tasks/admin.css"]}

    def has_add_permission(self, request: HttpRequest) -> bool:
        """The ledger writes the rows, not people."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """The ledger writes the rows, not people."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """The ledger and the retention remove rows, not people."""
        return False

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Allow users with the model's view permission, or with one to start runs."""
        return (
            super().has_view_permission(request, obj)
            or request.user.has_perm(START_BACKUP)
            or request.user.has_perm(START_RESTORE)
        )

    def has_start_backup_permission(self, request: HttpRequest) -> bool:
        """What actions with `permissions=["start_backup"]` ask for."""
        return request.user.has_perm(START_BACKUP)

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show the list. Raises BadRequest for a NUL, which PostgreSQL takes in no query."""
        if any("\0" in value for _, values in request.GET.lists() for value in values):
            raise BadRequest("a list can't be searched for a NUL")
        return super().changelist_view(request, extra_context)

    def page_context(self, request: HttpRequest, title: str, **more: Any) -> dict[str, Any]:
        """Return what every page of ours needs."""
        return {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": title,
            "media": self.media,
            "may_back_up": request.user.has_perm(START_BACKUP),
            "may_restore": request.user.has_perm(START_RESTORE),
            **more,
        }

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> Any:
        """Return the row of a key that an address names, None where no row can have that key.

        Django's own refuses what is no key; a NUL gets past it, and PostgreSQL takes none.
        """
        return None if "\0" in object_id else super().get_object(request, object_id, from_field)

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Show a row's page."""
        if request.method not in ("GET", "HEAD"):
            return HttpResponseNotAllowed(["GET", "HEAD"])
        row = self.find(request, object_id)
        return TemplateResponse(request, self.page_template, self.page_of(request, row))

    def page_of(self, request: HttpRequest, row: Any) -> dict[str, Any]:
        """Return what the page of a row shows."""
        raise NotImplementedError

    def find(self, request: HttpRequest, object_id: str) -> Any:
        """Return the row that an address names. Raises PermissionDenied, Http404."""
        row = self.get_object(request, unquote(object_id))
        if not self.has_view_permission(request, row):
            raise PermissionDenied
        if row is None:
            raise Http404(f"There is no {self.opts.verbose_name} {object_id!r}.")
        return row


def may_see_all(user: Any) -> bool:
    """Whether a user may see both runs and packages, and so what is told of them together."""
    if user.has_perm(START_BACKUP) or user.has_perm(START_RESTORE):
        return True
    return bool(
        user.has_perm("backup_tasks.view_run") and user.has_perm("backup_tasks.view_package")
    )


def back_to(request: HttpRequest, page: str, *args: Any) -> HttpResponse | None:
    """Return None for a POST. Whoever comes to the address of a button in another way is sent to
    the page that has the button: with a session that had expired, Django's page to sign in leads
    here."""
    if request.method == "POST":
        return None
    messages.warning(request, "Nothing was done. If you meant to, press the button again.")
    return redirect(page, *args)


def require(request: HttpRequest, permission: str) -> None:
    """Raise PermissionDenied where the user lacks the permission, staff or not."""
    if not request.user.has_perm(permission):
        raise PermissionDenied
