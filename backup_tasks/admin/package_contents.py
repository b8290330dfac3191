"""Pages that look into a package: its models, their rows, its files.

Who may download a package may look into it. Each look at rows, and each file that is taken out, is
in the audit trail.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any

from django.db import DatabaseError, InterfaceError, transaction
from django.http import FileResponse, Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.text import Truncator

from backup_tasks.admin import starting
from backup_tasks.admin.display import ago
from backup_tasks.admin.merging import MergeOptions, rehearsal_of
from backup_tasks.admin.read_only import (
    DOWNLOAD,
    START_RESTORE,
    ReadOnlyAdmin,
    back_to,
    require,
)
from backup_tasks.conf import backup_settings
from backup_tasks.error_classification import explain
from backup_tasks.errors import BackupError
from backup_tasks.evidence import audit
from backup_tasks.models import Package, Run
from backup_tasks.package.entries import ModelEntry
from backup_tasks.package.index import FileEntry
from backup_tasks.package.manifest import Manifest
from backup_tasks.package.names import in_database
from backup_tasks.printable import printable
from backup_tasks.restore.looking import Looking, looking_into
from backup_tasks.restore.packaged_rows import PackagedRow, PackagedRows

PAGE = 50
"""Rows or files of a page."""

_SHOWN = 4
"""Fields of a row in a list."""

_CELL, _VALUE = 80, 20_000
"""Characters of a value that a list and a row's page show."""

_ERRORS = (BackupError, DatabaseError, InterfaceError)


class PackageContents(ReadOnlyAdmin):
    """The pages below `look/` of a package."""

    def get_urls(self) -> list[URLPattern]:
        """Add their addresses."""
        view, name = self.admin_site.admin_view, "backup_tasks_package_look"
        return [
            path("<int:pk>/look/", view(self.look), name=name),
            path("<int:pk>/look/rows/", view(self.look_rows), name=f"{name}_rows"),
            path("<int:pk>/look/row/", view(self.look_row), name=f"{name}_row"),
            path("<int:pk>/look/files/", view(self.look_files), name=f"{name}_files"),
            path("<int:pk>/object/", view(self.restore_object), name="backup_tasks_package_object"),
            path("<int:pk>/look/take/", view(self.take_file), name=f"{name}_take"),
            *super().get_urls(),
        ]

    @transaction.non_atomic_requests
    def look(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Show what the package holds, by model."""
        package = self.allowed(request, pk)
        with self._opened(request, package, "Look into it") as page:
            if page.looking:
                page.context |= _summary(page.looking.manifest)
        return page.response("backup_tasks/look.html")

    @transaction.non_atomic_requests
    def look_rows(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Show rows of a model, those whose key contains the text that was searched for."""
        package = self.allowed(request, pk)
        name, search = _text(request, "model"), _text(request, "q")
        start = _number(request, "start")
        with self._opened(request, package, name or "Rows", model=name, q=search) as page:
            if page.looking:
                manifest, entry = page.looking.model(name)
                self._record(request, package, model=name, search=search, first=start)
                fields = _listed_fields(entry)
                rows = PackagedRows(manifest, entry).rows(
                    page.looking.lines(entry), start=start, search=search
                )
                found, following = _page(_listed(row, fields) for row in rows)
                page.context |= {
                    "fields": fields,
                    "rows": found,
                    "following": following,
                    "count": entry.count,
                    "start": start,
                }
        return page.response("backup_tasks/look_rows.html")

    @transaction.non_atomic_requests
    def look_row(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Show one row with all of its fields."""
        package = self.allowed(request, pk)
        name, number = _text(request, "model"), _number(request, "number")
        with self._opened(request, package, f"Row {number}", model=name) as page:
            if page.looking:
                manifest, entry = page.looking.model(name)
                self._record(request, package, model=name, row=number)
                packaged = PackagedRows(manifest, entry)
                row = next(packaged.rows(page.looking.lines(entry), start=number), None)
                if row is None:
                    raise Http404("The package has no such row.")
                values = {
                    field: Truncator(value).chars(_VALUE) for field, value in row.values.items()
                }
                page.context |= {"row": row, "values": values, "object": f"{name}={row.key}"}
        return page.response("backup_tasks/look_row.html")

    @transaction.non_atomic_requests
    def look_files(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Show the files, those whose name contains the text that was searched for."""
        package = self.allowed(request, pk)
        search, start = _text(request, "q"), _number(request, "start")
        with self._opened(request, package, "Files", q=search) as page:
            if page.looking:
                files = page.looking.files(search=search, start=start)
                found, following = _page(_file(number, entry) for number, entry in files)
                page.context |= {
                    "files": found,
                    "following": following,
                    "count": page.looking.manifest.totals.files,
                    "start": start,
                }
        return page.response("backup_tasks/look_files.html")

    @transaction.non_atomic_requests
    def take_file(self, request: HttpRequest, pk: int) -> HttpResponseBase:
        """Send one file, once its SHA-256 is proven."""
        require(request, DOWNLOAD)
        files = "admin:backup_tasks_package_look_files"
        if (page := back_to(request, files, pk)) is not None:
            return page
        package = self.allowed(request, pk)
        number = _number(request, "number")
        try:
            with _looking(package) as looking:
                entry = next((each for at, each in looking.files() if at == number), None)
                if entry is None:
                    raise Http404("The package has no such file.")
                content = looking.take(entry)
            self._record(
                request, package, what="file taken", file=entry.name, storage=entry.storage
            )
        except _ERRORS as raised:
            starting.tell_error(request, explain(raised))
            return redirect(files, pk)
        return FileResponse(
            content,
            as_attachment=True,
            filename=printable(entry.name.rpartition("/")[2]),
            content_type="application/octet-stream",
            headers={"Content-Length": str(entry.size), "Cache-Control": "no-store"},
        )

    @transaction.non_atomic_requests
    def restore_object(self, request: HttpRequest, pk: int) -> HttpResponseBase:
        """Let a plan be made of the merge of one object: a run that changes nothing."""
        require(request, START_RESTORE)
        package: Package | None = self.get_queryset(request).filter(pk=pk).first()
        named = request.GET.get("object", "")
        if package is None or not re.fullmatch(r"[\w:]+\.\w+=.+", named, re.DOTALL):
            raise Http404("There is no such object.")
        form = MergeOptions(request.POST or None)
        if request.method == "POST" and form.is_valid():
            params = rehearsal_of(package.name, [named], form)
            return starting.start_on_workers(
                request, Run.Kind.RESTORE, params, back=request.get_full_path()
            )
        page = self.page_context(
            request,
            "Restore one object",
            package=package,
            object=printable(named),
            age=ago(package.created_at),
            form=form,
        )
        return TemplateResponse(request, "backup_tasks/look_object.html", page)

    def allowed(self, request: HttpRequest, pk: int) -> Package:
        """Return the package, for somebody who may look into it. Raises PermissionDenied,
        Http404."""
        require(request, DOWNLOAD)
        package: Package | None = self.get_queryset(request).filter(pk=pk).first()
        if package is None:
            raise Http404("There is no such package.")
        return package

    @contextmanager
    def _opened(
        self, request: HttpRequest, package: Package, title: str, **more: str
    ) -> Iterator[_Page]:
        """Yield a page, with the package open if it can be; else the page says why not."""
        context = self.page_context(request, printable(title), package=package, **more)
        page = _Page(request, context)
        try:
            with _looking(package) as page.looking:
                yield page
                return
        except _ERRORS as raised:
            page.context["problem"] = starting.error_text(explain(raised))
            opened, page.looking = page.looking, None
        if opened is None:
            yield page

    def _record(
        self, request: HttpRequest, package: Package, *, what: str = "looked into", **details: Any
    ) -> None:
        audit.record(
            what,
            package.name,
            through="admin",
            by=request.user.get_username(),
            details={"sha256": package.sha256, **_told(details)},
        )


class _Page:
    """A page of a package that is open, or can't be opened."""

    def __init__(self, request: HttpRequest, context: dict[str, Any]) -> None:
        self._request, self.context = request, context
        self.looking: Looking | None = None

    def response(self, template: str) -> HttpResponse:
        """Return it."""
        return TemplateResponse(self._request, template, self.context)


def _looking(package: Package) -> Any:
    return looking_into(
        package.name, params={}, sha256=package.sha256, limit=backup_settings().look_limit
    )


def _summary(manifest: Manifest) -> dict[str, Any]:
    return {
        "manifest": manifest,
        "trusted": bool(backup_settings().trusted_keys),
        "models": [
            (in_database(alias, entry.label), entry)
            for alias, part in manifest.parts.items()
            for entry in sorted(part.models, key=lambda entry: entry.label)
        ],
        "excluded": [
            (in_database(alias, each.label), printable(each.reason))
            for alias, part in manifest.parts.items()
            for each in part.excluded
        ],
    }


def _page(found: Iterable[dict[str, Any]]) -> tuple[list[dict[str, Any]], int | None]:
    """Return the first of them, and the number that the next page starts with, if there is one."""
    taken = list(islice(found, PAGE + 1))
    following = taken[PAGE]["number"] if len(taken) > PAGE else None
    return taken[:PAGE], following


def _listed_fields(entry: ModelEntry) -> list[str]:
    """Return the fields that a list shows beside the key."""
    in_key = {path.partition("__")[0] for path in entry.natural_key or ()}
    return [
        field.name
        for field in entry.fields
        if field.name not in in_key and not field.type.endswith("AutoField")
    ][:_SHOWN]


def _listed(row: PackagedRow, fields: Iterable[str]) -> dict[str, Any]:
    """Return what a list shows of a row: no more, so that fifty large ones take little room."""
    cells = [(field, Truncator(row.values.get(field, "–")).chars(_CELL)) for field in fields]
    key = Truncator(row.key or "(too long to be shown)").chars(_CELL)
    return {"number": row.number, "key": key, "pk": Truncator(row.pk).chars(_CELL), "cells": cells}


def _file(number: int, entry: FileEntry) -> dict[str, Any]:
    return {
        "number": number,
        "name": printable(entry.name),
        "storage": printable(entry.storage),
        "size": entry.size,
        "sha256": entry.sha256,
    }


def _told(details: dict[str, Any]) -> dict[str, Any]:
    """Return what was said of a look, as the audit trail can hold it."""
    return {
        key: printable(value) if isinstance(value, str) else value
        for key, value in details.items()
        if value
    }


def _text(request: HttpRequest, name: str) -> str:
    return request.GET.get(name, "").strip()[:255]


def _number(request: HttpRequest, name: str) -> int:
    """Return a number from 1 up of the address or of the form."""
    text = request.POST.get(name) or request.GET.get(name) or "1"
    if not (text.isascii() and text.isdecimal() and len(text) <= 15 and int(text)):
        raise Http404(f"{name} is no number from 1 up.")
    return int(text)
