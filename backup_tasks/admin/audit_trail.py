"""The audit trail: a list that nobody can edit, and whether its chain holds."""

from __future__ import annotations

import json
from itertools import islice
from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path

from backup_tasks.admin.display import moment
from backup_tasks.admin.read_only import ReadOnlyAdmin
from backup_tasks.evidence import audit
from backup_tasks.models import AuditEntry, Run

_SHOWN = 20
"""Breaks that the page of the verification names."""


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin):
    """The list of entries, and a page for each."""

    page_template = "backup_tasks/audit_entry.html"
    list_display = ["position", "when", "what", "subject", "who", "through"]
    list_filter = ["what", "through"]
    search_fields = ["obj", "by"]
    list_per_page = 100
    change_list_template = "admin/backup_tasks/auditentry/change_list.html"

    @admin.display(description="when", ordering="at")
    def when(self, entry: AuditEntry) -> str:
        """The moment, to the second."""
        return moment(entry.at)

    @admin.display(description="by", ordering="by")
    def who(self, entry: AuditEntry) -> str:
        """The user, or the system itself."""
        return entry.by or "the system"

    @admin.display(description="object", ordering="obj")
    def subject(self, entry: AuditEntry) -> str:
        """The run, the package, the storage or the host."""
        return entry.obj

    def get_urls(self) -> list[URLPattern]:
        """Add the address of the verification."""
        view = self.admin_site.admin_view
        return [
            path("verify/", view(self.verify), name="backup_tasks_auditentry_verify"),
            *super().get_urls(),
        ]

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show the list."""
        more = {"title": "Audit trail", **(extra_context or {})}
        return super().changelist_view(request, more)

    def page_of(self, request: HttpRequest, entry: AuditEntry) -> dict[str, Any]:
        """Show an entry."""
        return self.page_context(
            request,
            f"Entry {entry.position}",
            entry=entry,
            when=moment(entry.at),
            run=Run.objects.filter(pk=entry.obj).first(),
            details=json.dumps(entry.details, indent=2, sort_keys=True, ensure_ascii=False),
            altered=entry.hash != audit.hash_of(entry),
        )

    def verify(self, request: HttpRequest) -> HttpResponse:
        """Read the whole chain and say whether it holds."""
        if not self.has_view_permission(request):
            return HttpResponse(status=403)
        last = audit.anchor()
        page = self.page_context(
            request,
            "Does the audit trail hold?",
            breaks=list(islice(audit.broken(), _SHOWN)),
            last=last,
        )
        return TemplateResponse(request, "backup_tasks/audit_verify.html", page)
