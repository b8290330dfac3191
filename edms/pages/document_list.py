"""The list of documents, searched, filtered, sorted; and the same list as a CSV file."""

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any, Final

from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.db import models
from django.http import HttpRequest, HttpResponse, QueryDict, StreamingHttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from edms.documents.models import Document
from edms.documents.search import search, snippets, words_of
from edms.pages.forms import SORTS, SearchForm
from edms.pages.reader import Reader, reader_of

PER_PAGE = 25

_ORDERS: Final = {
    "number": "document_number",
    "title": "title",
    "type": "document_type__name",
    "state": "state__position",
    "author": "author__username",
    "changed": "updated_at",
}

_EXPORTED: Final = {
    "Number": "document_number",
    "Title": "title",
    "Type": "document_type__name",
    "State": "state__name",
    "Author": "author__username",
    "Department": "department__name",
    "Effective since": "effective_date",
    "Next review": "review_due",
    "Changed (UTC)": "updated_at",
}

_FORMULA: Final = re.compile(r"(^|[;\t\r\n])(\s*)(?=[=+\-@\uff1d\uff0b\uff0d\uff20])")


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column of the table, and the address that sorts by it."""

    name: str
    query: str
    direction: str
    """As in `aria-sort`; "" where the list is sorted by another column."""


@login_required
@require_safe
def document_list(request: HttpRequest) -> HttpResponse:
    """Show the documents that the reader may see, 25 a page."""
    reader = reader_of(request)
    form = SearchForm(request.GET)
    pages = Paginator(_found(reader, form), PER_PAGE)
    page = pages.get_page(request.GET.get("page"))
    page.object_list = page.object_list.select_related(  # type: ignore[attr-defined]  # a QuerySet
        "state", "document_type", "author", "sensitivity", "sensitivity_from__sensitivity"
    )
    kept = request.GET.copy()
    kept.pop("page", None)
    shown = snippets(page.object_list, request.GET.get("q", "")) if form.is_valid() else {}
    for document in page.object_list:
        document.snippet = shown.get(document.pk)
    context = {
        "reader": reader,
        "form": form,
        "page": page,
        "query": kept.urlencode(),
        "columns": list(_columns(kept)),
    }
    return render(request, "edms/document_list.html", context)


@login_required
@require_safe
def export_documents(request: HttpRequest) -> StreamingHttpResponse:
    """The same list as CSV, of any length: rows are sent as they are read."""
    found = _found(reader_of(request), SearchForm(request.GET))
    rows = found.values_list(*_EXPORTED.values()).iterator(chunk_size=2000)
    return StreamingHttpResponse(
        _lines(rows),
        content_type="text/csv; charset=utf-8",
        headers={
            "Content-Disposition": 'attachment; filename="documents.csv"',
            "Cache-Control": "private, no-store",
        },
    )


def narrowed(
    documents: "models.QuerySet[Document]", form: SearchForm
) -> "models.QuerySet[Document]":
    """Return the documents that match the filled-in fields; every word of the search must occur."""
    wanted = form.cleaned_data
    if wanted["q"]:
        documents = search(documents, wanted["q"])
    for name in ("type", "state", "department", "author"):
        if wanted[name]:
            documents = documents.filter(**{_FILTERS.get(name, name): wanted[name]})
    if wanted["tag"]:
        documents = documents.filter(tags__name=wanted["tag"].strip().lower())
    if wanted["since"]:
        documents = documents.filter(updated_at__gte=_midnight(wanted["since"]))
    if wanted["until"]:
        documents = documents.filter(updated_at__lt=_midnight(wanted["until"]) + timedelta(days=1))
    return documents


_FILTERS: Final = {"type": "document_type"}


def _midnight(day: Any) -> datetime:
    return datetime.combine(day, time(), tzinfo=UTC)


def _found(reader: Reader, form: SearchForm) -> "models.QuerySet[Document]":
    # An invalid filter finds nothing. To show all documents would be a wrong answer.
    if not form.is_valid():
        return Document.objects.none()
    found = narrowed(reader.documents(), form)
    sort = form.cleaned_data["sort"]
    if not sort and form.cleaned_data["q"]:
        # The best match first. A search for no word at all found nothing, with no rank.
        return (
            found.order_by("-rank", "document_number")
            if words_of(form.cleaned_data["q"])
            else found
        )
    order = f"{'-' if sort.startswith('-') else ''}{_ORDERS[sort.lstrip('-') or 'number']}"
    return found.order_by(order, "document_number")


def _columns(kept: QueryDict) -> Iterator[Column]:
    now = kept.get("sort") or ("" if kept.get("q") else "number")
    for key, name in SORTS.items():
        query = kept.copy()
        query["sort"] = f"-{key}" if now == key else key
        directions = {key: "ascending", f"-{key}": "descending"}
        yield Column(name=name, query=query.urlencode(), direction=directions.get(now, ""))


class _Line:
    """Gives back what a csv.writer writes to it."""

    def write(self, text: str) -> str:
        return text


def _lines(rows: Iterator[tuple[Any, ...]]) -> Iterator[str]:
    writer = csv.writer(_Line(), quoting=csv.QUOTE_ALL)
    # Without this mark a spreadsheet takes the text for the machine's own encoding.
    yield "\ufeff" + writer.writerow(_EXPORTED)
    for row in rows:
        yield writer.writerow([harmless(_written(value)) for value in row])


def _written(value: Any) -> str:
    if isinstance(value, datetime):
        return f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
    return "" if value is None else str(value)


def harmless(text: str) -> str:
    """Return `text` with an apostrophe before all that a spreadsheet would take for a formula.

    Also after a semicolon: where that separates cells, one begins there, within the quotes or not.
    """
    return _FORMULA.sub(r"\1\2'", text)
