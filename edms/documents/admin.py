"""Admin pages of documents."""

from typing import Any

from django.contrib import admin
from django.db import models, transaction
from django.http import HttpRequest

from edms.documents.models import (
    AccessLog,
    Attachment,
    Comment,
    Document,
    DocumentDependency,
    DocumentSource,
    DocumentType,
    DocumentVersion,
    ExternalDocument,
    NumberSeries,
    SensitivityLabel,
    Tag,
)
from edms.read_only_admin import MadeByServicesAdmin, ReadOnlyAdmin
from edms.typed_admin import ModelAdmin, TabularInline
from edms.workflows.services import start


@admin.register(DocumentType)
class DocumentTypeAdmin(ModelAdmin):
    """Kinds of documents."""

    list_display = ["code", "name", "review_months", "is_active"]
    list_filter = ["is_active"]
    search_fields = ["code", "name"]


@admin.register(NumberSeries)
class NumberSeriesAdmin(ModelAdmin):
    """The last number given, per type and year."""

    list_display = ["document_type", "year", "last_number"]
    list_select_related = ["document_type"]
    list_filter = ["document_type", "year"]


@admin.register(DocumentSource)
class DocumentSourceAdmin(ModelAdmin):
    """Where documents come from."""

    list_display = ["code", "name", "is_external"]
    list_filter = ["is_external"]
    search_fields = ["code", "name"]


@admin.register(SensitivityLabel)
class SensitivityLabelAdmin(ModelAdmin):
    """Who may read what."""

    list_display = ["code", "name", "rank"]
    search_fields = ["code", "name"]
    filter_horizontal = ["readers"]


@admin.register(Tag)
class TagAdmin(ModelAdmin):
    """Words that documents are found by."""

    search_fields = ["name"]


class Versions(TabularInline):
    """The versions of a document, to look at: new ones come through the document's own page."""

    model = DocumentVersion
    extra = 0
    readonly_fields = ["number", "file", "size", "sha256", "uploaded_by", "created_at"]
    fields = tuple(readonly_fields)
    can_delete = False
    max_num = 0


class Attachments(TabularInline):
    """The files that go with a document, to look at."""

    model = Attachment
    extra = 0
    readonly_fields = ["file_name", "file", "size", "sha256", "uploaded_by", "created_at"]
    fields = tuple(readonly_fields)
    can_delete = False
    max_num = 0


class Dependencies(TabularInline):
    """What a document builds on."""

    model = DocumentDependency
    fk_name = "document"
    extra = 0
    autocomplete_fields = ["depends_on"]


@admin.register(Document)
class DocumentAdmin(ModelAdmin):
    """Documents; the state changes through the workflow only."""

    list_display = [
        "document_number", "title", "document_type", "state", "author", "effective_date"
    ]  # fmt: skip
    list_select_related = ["document_type", "state", "author"]
    list_filter = ["state", "document_type", "source", "sensitivity", "department"]
    search_fields = ["document_number", "title", "author__username"]
    autocomplete_fields = [
        "author", "reviewer", "approver", "supersedes", "sensitivity_from", "tags", "department"
    ]  # fmt: skip
    readonly_fields = ["state", "created_at", "updated_at"]
    date_hierarchy = "created_at"
    inlines = [Versions, Attachments, Dependencies]

    def save_model(self, request: HttpRequest, obj: Document, form: Any, change: bool) -> None:
        """Save; a new document starts its life as every other one does."""
        with transaction.atomic():
            super().save_model(request, obj, form, change)
            if not change:
                start(obj, "approval", obj.author)


@admin.register(ExternalDocument)
class ExternalDocumentAdmin(DocumentAdmin):
    """Documents of somebody else."""

    list_display = ["document_number", "title", "publisher", "edition", "state"]
    list_select_related = ["state"]
    search_fields = [*DocumentAdmin.search_fields, "publisher", "reference"]
    formfield_overrides = {models.URLField: {"assume_scheme": "https"}}


@admin.register(DocumentVersion)
class DocumentVersionAdmin(MadeByServicesAdmin):
    """Versions of all documents; new ones come through the document's own page."""

    list_display = ["document", "number", "file_name", "size", "uploaded_by", "created_at"]
    list_select_related = ["document", "uploaded_by"]
    list_filter = ["content_type", "major"]
    search_fields = ["document__document_number", "document__title", "file_name", "sha256"]
    date_hierarchy = "created_at"


@admin.register(DocumentDependency)
class DocumentDependencyAdmin(ModelAdmin):
    """Which documents build on which."""

    list_display = ["document", "kind", "depends_on", "note"]
    list_select_related = ["document", "depends_on"]
    list_filter = ["kind"]
    search_fields = ["document__document_number", "depends_on__document_number", "note"]
    autocomplete_fields = ["document", "depends_on"]


@admin.register(Attachment)
class AttachmentAdmin(MadeByServicesAdmin):
    """Attachments of all documents; new ones come through the document's own page."""

    list_display = ["document", "file_name", "size", "uploaded_by", "created_at"]
    list_select_related = ["document", "uploaded_by"]
    search_fields = ["document__document_number", "file_name", "sha256"]


@admin.register(Comment)
class CommentAdmin(ModelAdmin):
    """Comments, also the withdrawn ones."""

    list_display = ["document", "ordinal", "author", "text", "created_at", "withdrawn_at"]
    list_select_related = ["document", "author"]
    list_filter = ["withdrawn_at"]
    search_fields = ["document__document_number", "author__username", "text"]
    autocomplete_fields = ["document", "author"]
    raw_id_fields = ["parent"]
    date_hierarchy = "created_at"

    def get_queryset(self, request: HttpRequest) -> "models.QuerySet[Comment]":
        """Return withdrawn comments too: they are on record."""
        return Comment.everything.all()


@admin.register(AccessLog)
class AccessLogAdmin(ReadOnlyAdmin):
    """Who looked at what."""

    list_display = ["at", "user_id", "action", "document_id", "file_name", "address"]
    list_filter = ["action"]
    search_fields = ["file_name", "address"]
    date_hierarchy = "at"
    show_full_result_count = False
