"""Admin pages of the audit trail: to look at only."""

from django.contrib import admin

from edms.audit.models import AuditEntry
from edms.read_only_admin import ReadOnlyAdmin


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin):
    """What changed, when, by whom."""

    list_display = ["at", "actor", "action", "content_type", "object_name"]
    list_select_related = ["actor", "content_type"]
    list_filter = ["action", "content_type"]
    search_fields = ["object_name", "object_id", "actor__username"]
    date_hierarchy = "at"
    show_full_result_count = False
