"""Admin pages of workflows."""

from django.contrib import admin
from django.http import HttpRequest

from edms.read_only_admin import MadeByServicesAdmin, ReadOnlyAdmin
from edms.typed_admin import ModelAdmin, TabularInline
from edms.workflows.models import (
    AllowedTransition,
    DocumentState,
    DocumentTransition,
    DocumentWorkflow,
    ElectronicSignature,
    PeriodicReview,
    ReadingTask,
    WorkflowType,
)


@admin.register(DocumentState)
class DocumentStateAdmin(ModelAdmin):
    """The states that documents can be in."""

    list_display = ["code", "name", "position", "is_final"]
    search_fields = ["code", "name"]


class AllowedTransitions(TabularInline):
    """The moves that a workflow type allows."""

    model = AllowedTransition
    extra = 0


@admin.register(WorkflowType)
class WorkflowTypeAdmin(ModelAdmin):
    """Kinds of workflows with the moves that they allow."""

    list_display = ["code", "name", "initial_state", "days_per_state", "is_active"]
    list_select_related = ["initial_state"]
    list_filter = ["is_active"]
    search_fields = ["code", "name"]
    inlines = [AllowedTransitions]


@admin.register(AllowedTransition)
class AllowedTransitionAdmin(ModelAdmin):
    """All allowed moves."""

    list_display = ["name", "workflow_type", "from_state", "to_state", "actor", "needs_comment"]
    list_select_related = ["workflow_type", "from_state", "to_state"]
    list_filter = ["workflow_type", "actor"]
    search_fields = ["name"]


class Transitions(TabularInline):
    """The history of a workflow, to look at: moves are made on the document's page."""

    model = DocumentTransition
    extra = 0
    readonly_fields = [
        "ordinal", "from_state", "to_state", "made_by", "made_at", "comment"
    ]  # fmt: skip
    fields = tuple(readonly_fields)
    can_delete = False
    max_num = 0


@admin.register(DocumentWorkflow)
class DocumentWorkflowAdmin(ModelAdmin):
    """Workflows of documents: who has the task, and until when. Moves change the state."""

    list_display = [
        "document", "workflow_type", "sequence", "state", "assignee", "due_date", "completed_at"
    ]  # fmt: skip
    list_select_related = ["document", "workflow_type", "state", "assignee"]
    list_filter = ["state", "workflow_type"]
    search_fields = ["document__document_number", "document__title", "assignee__username"]
    autocomplete_fields = ["assignee"]
    readonly_fields = [
        "document", "workflow_type", "sequence", "state", "initiated_by", "started_at",
        "completed_at",
    ]  # fmt: skip
    date_hierarchy = "started_at"
    inlines = [Transitions]

    def has_add_permission(self, request: HttpRequest) -> bool:
        """A workflow starts with its document."""
        return False


@admin.register(DocumentTransition)
class DocumentTransitionAdmin(MadeByServicesAdmin):
    """The moves of all workflows: history, not to be rewritten."""

    list_display = ["workflow", "ordinal", "from_state", "to_state", "made_by", "made_at"]
    list_select_related = [
        "workflow__document", "workflow__workflow_type", "from_state", "to_state", "made_by"
    ]  # fmt: skip
    list_filter = ["to_state"]
    search_fields = ["workflow__document__document_number", "made_by__username", "comment"]
    date_hierarchy = "made_at"


@admin.register(ElectronicSignature)
class ElectronicSignatureAdmin(ReadOnlyAdmin):
    """Who signed what, and as what."""

    list_display = ["signed_at", "printed_name", "meaning", "version", "version_number", "sha256"]
    list_select_related = ["version__document"]
    list_filter = ["meaning"]
    search_fields = ["printed_name", "version__document__document_number", "sha256"]
    date_hierarchy = "signed_at"


@admin.register(ReadingTask)
class ReadingTaskAdmin(MadeByServicesAdmin):
    """Who is to read what, and who has confirmed it."""

    list_display = ["document", "reader", "assigned_by", "assigned_at", "confirmed_at"]
    list_select_related = ["document", "reader", "assigned_by"]
    list_filter = ["confirmed_at"]
    search_fields = ["document__document_number", "reader__username"]
    date_hierarchy = "assigned_at"


@admin.register(PeriodicReview)
class PeriodicReviewAdmin(ModelAdmin):
    """Periodic reviews, planned and done."""

    list_display = ["document", "sequence", "due_date", "reviewer", "outcome", "completed_at"]
    list_select_related = ["document", "reviewer"]
    list_filter = ["outcome"]
    search_fields = ["document__document_number", "reviewer__username"]
    autocomplete_fields = ["document", "reviewer"]
    date_hierarchy = "due_date"
