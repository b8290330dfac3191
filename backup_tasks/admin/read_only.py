"""The base of all pages: they show, and never edit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Model, QuerySet
from django.http import HttpRequest

if TYPE_CHECKING:
    _ModelAdmin = admin.ModelAdmin[Any]
else:
    _ModelAdmin = admin.ModelAdmin  # the type parameter exists in the type stubs only

START_BACKUP = "backup_tasks.start_backup"
"""May start what reads live data: backups, verifications, drills."""

START_RESTORE = "backup_tasks.start_restore"
"""May start what replaces live data: restores, resets, undo."""


class ReadOnlyAdmin(_ModelAdmin):
    """Rows that are looked at. Whoever may start runs may look at them too."""

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
        """Whoever holds the model's view permission, or may start something."""
        return (
            super().has_view_permission(request, obj)
            or request.user.has_perm(START_BACKUP)
            or request.user.has_perm(START_RESTORE)
        )

    def has_start_backup_permission(self, request: HttpRequest) -> bool:
        """What actions with `permissions=["start_backup"]` ask for."""
        return request.user.has_perm(START_BACKUP)

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

    def view_or_403(self, request: HttpRequest, queryset: QuerySet[Any], pk: object) -> Any:
        """Return the row, None where there is none. Raises PermissionDenied."""
        row = queryset.filter(pk=pk).first()
        if not self.has_view_permission(request, row):
            raise PermissionDenied
        return row


def require(request: HttpRequest, permission: str) -> None:
    """Raise PermissionDenied where the user lacks the permission, staff or not."""
    if not request.user.has_perm(permission):
        raise PermissionDenied
