"""The list of documents, with search and filters."""

from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.db import models
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from edms.documents.models import Document
from edms.pages.forms import SearchForm
from edms.pages.reader import reader_of

PER_PAGE = 25


@login_required
@require_safe
def document_list(request: HttpRequest) -> HttpResponse:
    """Show the documents that the reader may see, 25 a page."""
    reader = reader_of(request)
    form = SearchForm(request.GET)
    # An invalid filter finds nothing. To show all documents would be a wrong answer.
    found = narrowed(reader.documents(), form) if form.is_valid() else Document.objects.none()
    pages = Paginator(found.order_by("document_number"), PER_PAGE)
    page = pages.get_page(request.GET.get("page"))
    page.object_list = page.object_list.select_related(  # type: ignore[attr-defined]  # a QuerySet
        "state", "document_type", "author", "sensitivity", "sensitivity_from__sensitivity"
    )
    kept = request.GET.copy()
    kept.pop("page", None)
    context = {"reader": reader, "form": form, "page": page, "query": kept.urlencode()}
    return render(request, "edms/document_list.html", context)


def narrowed(
    documents: "models.QuerySet[Document]", form: SearchForm
) -> "models.QuerySet[Document]":
    """Return the documents that match the filled-in fields; every word of the search must occur."""
    wanted = form.cleaned_data
    for word in wanted["q"].split():
        documents = documents.filter(
            Q(document_number__icontains=word)
            | Q(title__icontains=word)
            | Q(description__icontains=word)
        )
    if wanted["type"]:
        documents = documents.filter(document_type=wanted["type"])
    if wanted["state"]:
        documents = documents.filter(state=wanted["state"])
    if wanted["department"]:
        documents = documents.filter(department=wanted["department"])
    if wanted["tag"]:
        documents = documents.filter(tags__name=wanted["tag"].strip().lower())
    return documents
