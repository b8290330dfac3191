"""Admin pages of the system settings."""

from django.contrib import admin

from edms.configuration.models import SystemSetting
from edms.typed_admin import ModelAdmin


@admin.register(SystemSetting)
class SystemSettingAdmin(ModelAdmin):
    """Settings that take effect at once."""

    list_display = ["key", "value", "description", "updated_at"]
    search_fields = ["key", "description"]
