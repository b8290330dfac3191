"""Admin pages of people and roles."""

from django.contrib import admin

from edms.typed_admin import ModelAdmin, TabularInline
from edms.typed_admin import UserAdmin as BaseUserAdmin
from edms.users.models import Department, Role, Signature, User, UserRole


class RoleAssignments(TabularInline):
    """The roles of a user, on the user's page."""

    model = UserRole
    fk_name = "user"
    extra = 0
    autocomplete_fields = ["role", "assigned_by"]


@admin.register(User)
class UserAdmin(BaseUserAdmin):
    """Users with their place in the company and their roles."""

    list_display = ["username", "first_name", "last_name", "department", "manager", "is_active"]
    list_filter = ["is_active", "is_staff", "department", "roles", "groups"]
    list_select_related = ["department", "manager"]
    search_fields = ["username", "first_name", "last_name", "email"]
    autocomplete_fields = ["department", "manager"]
    readonly_fields = ["uuid"]
    fieldsets = [
        *(BaseUserAdmin.fieldsets or ()),
        ("In the company", {"fields": ["department", "job_title", "manager", "uuid"]}),
    ]
    inlines = [RoleAssignments]


@admin.register(Department)
class DepartmentAdmin(ModelAdmin):
    """Departments."""

    list_display = ["code", "name", "parent"]
    list_select_related = ["parent"]
    search_fields = ["code", "name"]
    autocomplete_fields = ["parent"]


@admin.register(Role)
class RoleAdmin(ModelAdmin):
    """Roles and what they allow."""

    list_display = [
        "name", "inherits_from", "may_author", "may_review", "may_approve", "may_publish"
    ]  # fmt: skip
    list_select_related = ["inherits_from"]
    list_filter = ["may_author", "may_review", "may_approve", "may_publish"]
    search_fields = ["name", "description"]
    autocomplete_fields = ["inherits_from"]


@admin.register(UserRole)
class UserRoleAdmin(ModelAdmin):
    """Who holds which role, since when, and who gave it."""

    list_display = ["user", "role", "valid_from", "valid_until", "assigned_by"]
    list_select_related = ["user", "role", "assigned_by"]
    list_filter = ["role"]
    search_fields = ["user__username", "role__name"]
    autocomplete_fields = ["user", "role", "assigned_by"]
    date_hierarchy = "valid_from"


@admin.register(Signature)
class SignatureAdmin(ModelAdmin):
    """Drawn signatures; the picture itself is not edited here."""

    list_display = ["user", "drawn_at"]
    list_select_related = ["user"]
    search_fields = ["user__username"]
    autocomplete_fields = ["user"]
