"""Admin pages of notices."""

from django.contrib import admin

from edms.notices.models import Notification
from edms.typed_admin import ModelAdmin


@admin.register(Notification)
class NotificationAdmin(ModelAdmin):
    """What people were told, and whether they read it."""

    list_display = ["recipient", "text", "created_at", "read_at"]
    list_select_related = ["recipient"]
    search_fields = ["recipient__username", "text"]
    autocomplete_fields = ["recipient", "document"]
    date_hierarchy = "created_at"
