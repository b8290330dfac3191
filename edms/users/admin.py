"""Admin pages of people and roles."""

from typing import Any

from django import forms
from django.contrib import admin
from django.core.files.uploadedfile import UploadedFile
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html

from edms.typed_admin import ModelAdmin, TabularInline
from edms.typed_admin import UserAdmin as BaseUserAdmin
from edms.users.models import Department, Role, Signature, User, UserRole

LARGEST_PICTURE = 100_000
PNG = b"\x89PNG\r\n\x1a\n"


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
        ("In the company", {"fields": ["department", "job_title", "manager", "time_zone", "uuid"]}),
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


class SignatureForm(forms.ModelForm):  # type: ignore[type-arg]  # generic for its stubs only
    """A person and the picture of their signature."""

    picture = forms.FileField(help_text=f"PNG, at most {LARGEST_PICTURE // 1000} kB.")

    class Meta:
        model = Signature
        fields = ("user",)

    def clean_picture(self) -> UploadedFile:
        """Refuse a file that is not a PNG, or is large: each page that shows it contains it."""
        picture: UploadedFile = self.cleaned_data["picture"]
        if (picture.size or 0) > LARGEST_PICTURE or picture.read(len(PNG)) != PNG:
            raise forms.ValidationError("This is no PNG, or a large one.")
        picture.seek(0)
        return picture


@admin.register(Signature)
class SignatureAdmin(ModelAdmin):
    """Drawn signatures, uploaded as pictures."""

    form = SignatureForm
    fields = ("user", "picture", "current")
    list_display = ["user", "current", "drawn_at"]
    list_select_related = ["user"]
    search_fields = ["user__username"]
    autocomplete_fields = ["user"]

    @admin.display(description="Current picture")
    def current(self, signature: Signature) -> str:
        """Show the picture."""
        if not signature.image:
            return "–"
        return format_html('<img src="{}" alt="{}" height="40">', signature.source, signature)

    def get_readonly_fields(
        self, request: HttpRequest, obj: Signature | None = None
    ) -> tuple[str, ...]:
        """The owner of a signature can't be changed."""
        return ("current",) if obj is None else ("user", "current")

    def save_model(self, request: HttpRequest, obj: Signature, form: Any, change: bool) -> None:
        """Take the uploaded picture, drawn now: earlier approvals don't show it."""
        obj.image = form.cleaned_data["picture"].read()
        obj.drawn_at = timezone.now()
        super().save_model(request, obj, form, change)
