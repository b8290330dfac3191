"""The audit trail, page by page: as quick at its end as at its beginning.

Pages are asked for by the entry that they follow, not by their number, so the database reads one
page of an index and counts nothing.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any, Final

from django import forms
from django.contrib.auth.decorators import login_required, permission_required
from django.contrib.contenttypes.models import ContentType
from django.db import models
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.dateparse import parse_datetime
from django.views.decorators.http import require_safe

from edms.audit.models import AuditEntry
from edms.audit.recording import CONTROLLED
from edms.documents.models import Document, ExternalDocument
from edms.pages.forms import DayField
from edms.pages.reader import reader_of
from edms.users.models import User

PER_PAGE: Final = 50

Rows = models.QuerySet[AuditEntry]


class AuditForm(forms.Form):
    """What the audit trail is narrowed by."""

    document = forms.CharField(label="Document number", required=False, max_length=40)
    kind = forms.ModelChoiceField(
        ContentType.objects.none(), required=False, empty_label="Any kind"
    )
    action = forms.ChoiceField(
        choices=[("", "Any change"), *AuditEntry.Action.choices], required=False
    )
    actor = forms.ModelChoiceField(
        User.objects.order_by("first_name", "username"),
        label="By",
        required=False,
        to_field_name="username",
        empty_label="Anybody",
    )
    until = DayField(label="Until", required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        kinds = ContentType.objects.get_for_models(*CONTROLLED, for_concrete_models=True)
        field: Any = self.fields["kind"]
        field.queryset = ContentType.objects.filter(
            pk__in=[kind.pk for kind in kinds.values()]
        ).order_by("model")


@dataclass(frozen=True, kw_only=True)
class AuditPage:
    """Entries, the newest first, and whether there are others on both sides."""

    entries: list[AuditEntry]
    has_newer: bool
    has_older: bool

    @property
    def first(self) -> str:
        """The place of the newest entry."""
        return place_of(self.entries[0])

    @property
    def last(self) -> str:
        """The place of the oldest entry."""
        return place_of(self.entries[-1])


@login_required
@permission_required("audit.view_auditentry", raise_exception=True)
@require_safe
def audit_page(request: HttpRequest) -> HttpResponse:
    """Show a page of the audit trail; `older`, `newer` and `end` say which."""
    form = AuditForm(request.GET)
    entries = narrowed(form.cleaned_data) if form.is_valid() else AuditEntry.objects.none()
    page = paged(
        entries.select_related("actor", "content_type"),
        older_than=_place(request.GET.get("older", "")),
        newer_than=_place(request.GET.get("newer", "")),
        from_the_end="end" in request.GET,
    )
    kept = request.GET.copy()
    for name in ("older", "newer", "end"):
        kept.pop(name, None)
    context = {
        "reader": reader_of(request),
        "form": form,
        "page": page,
        "query": f"{kept.urlencode()}&" if kept else "",
    }
    return render(request, "edms/audit.html", context)


def narrowed(wanted: dict[str, Any]) -> Rows:
    """Return the entries that match the filled-in fields."""
    entries = AuditEntry.objects.all()
    if wanted["document"]:
        found = Document.objects.filter(document_number=wanted["document"].strip()).first()
        # An external document is one object with two content types.
        kinds = ContentType.objects.get_for_models(Document, ExternalDocument).values()
        entries = entries.filter(content_type__in=kinds, object_id=str(found.pk if found else ""))
    for name, field in (("kind", "content_type"), ("action", "action"), ("actor", "actor")):
        if wanted[name]:
            entries = entries.filter(**{field: wanted[name]})
    if wanted["until"]:
        day = datetime.combine(wanted["until"], time(), tzinfo=UTC) + timedelta(days=1)
        entries = entries.filter(at__lt=day)
    return entries


def paged(
    entries: Rows,
    *,
    older_than: tuple[datetime, int] | None = None,
    newer_than: tuple[datetime, int] | None = None,
    from_the_end: bool = False,
) -> AuditPage:
    """Return the page that begins after, or ends before, a place; without one the newest page.

    One row more than a page is read: it tells whether there are more.
    """
    if newer_than is None and not from_the_end:
        rows = list(_beyond(entries, older_than, "lt").order_by("-at", "-pk")[: PER_PAGE + 1])
        shown = rows[:PER_PAGE]
        return AuditPage(
            entries=shown, has_newer=older_than is not None, has_older=len(rows) > PER_PAGE
        )
    rows = list(_beyond(entries, newer_than, "gt").order_by("at", "pk")[: PER_PAGE + 1])
    shown = rows[:PER_PAGE][::-1]
    return AuditPage(
        entries=shown, has_newer=len(rows) > PER_PAGE, has_older=newer_than is not None
    )


def place_of(entry: AuditEntry) -> str:
    """Return the place of an entry in the order of the trail, as addresses have it."""
    return f"{entry.at.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}~{entry.pk}"


def _place(text: str) -> tuple[datetime, int] | None:
    """The place that `place_of` wrote; None for anything else, which shows the first page."""
    at, _, pk = text.partition("~")
    if not (pk.isascii() and pk.isdecimal() and len(pk) < 19):
        return None
    try:
        moment = parse_datetime(at)
    except ValueError:
        return None
    return (moment, int(pk)) if moment is not None and moment.tzinfo is not None else None


def _beyond(entries: Rows, place: tuple[datetime, int] | None, way: str) -> Rows:
    if place is None:
        return entries
    at, pk = place
    # The first condition is what an index is entered by; an OR alone would read all of it.
    return entries.filter(
        Q(**{f"at__{way}e": at}) & (Q(**{f"at__{way}": at}) | Q(**{f"pk__{way}": pk}))
    )
