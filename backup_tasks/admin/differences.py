"""What a package holds by model, beside the package before it and beside live."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from django.db import DatabaseError, InterfaceError
from django.http import HttpRequest

from backup_tasks.admin import content, starting
from backup_tasks.admin.display import counted
from backup_tasks.error_classification import explain
from backup_tasks.errors import BackupError
from backup_tasks.models import Package, Step
from backup_tasks.storage.file_storages import project_trees

_TELLING = ("verify", "fetch")
"""Steps whose result has the rows by model of the whole package that they read."""


def differences(request: HttpRequest, package: Package, *, live: bool) -> dict[str, Any]:
    """Return what the page shows: the package before, rows and files of each, and with `live` those
    that live has now, which are counted for it.

    The rows are those that the ledger has of runs that read the packages: no package is read here.
    """
    before = _previous(package)
    recorded = _recorded([package, before] if before else [package])
    here, there = recorded.get(package.name), recorded.get(before.name if before else "")
    now, files = _live(request) if live else (None, None)
    return {
        "previous": before,
        "known": here is not None,
        "previous_known": there is not None,
        "with_live": now is not None,
        "rows": [
            *_rows(here, there, now),
            _row("files", package.files, before.files if before else None, files),
        ],
    }


def _previous(package: Package) -> Package | None:
    """Return the newest older package of the same project, type and label."""
    same = {"project": package.project, "type": package.type, "label": package.label}
    older = Package.objects.filter(**same, created_at__lt=package.created_at)
    return older.order_by("-created_at").first()


def _recorded(packages: Iterable[Package]) -> dict[str, Mapping[str, int]]:
    """Return the rows by model, by the name of the package, of those that the ledger knows."""
    hashes = {package.name: package.sha256 for package in packages}
    steps = Step.objects.filter(
        run__package__in=[*hashes], name__in=_TELLING, state=Step.State.SUCCEEDED
    )
    found: dict[str, Mapping[str, int]] = {}
    for result in steps.order_by("finished_at").values_list("result", flat=True):
        name, counts = result.get("package"), result.get("expected")
        if name in hashes and counts and result.get("sha256") == hashes[name]:
            found[name] = counts
    return found


def _live(request: HttpRequest) -> tuple[Mapping[str, int] | None, int | None]:
    try:
        return content.live(), sum(1 for tree in project_trees() for _ in tree.names())
    except (BackupError, DatabaseError, InterfaceError) as raised:
        starting.tell_error(request, explain(raised))
        return None, None


def _rows(
    here: Mapping[str, int] | None, there: Mapping[str, int] | None, now: Mapping[str, int] | None
) -> list[dict[str, Any]]:
    """Return a line for each model that has rows anywhere."""
    columns = (here or {}, there or {}, now or {})
    names = sorted({name for column in columns for name, count in column.items() if count})
    return [
        _row(
            name,
            None if here is None else here.get(name, 0),
            None if there is None else there.get(name, 0),
            None if now is None else now.get(name, 0),
        )
        for name in names
    ]


def _row(name: str, here: int | None, there: int | None, now: int | None) -> dict[str, Any]:
    return {
        "name": name,
        "here": counted(here),
        "there": counted(there),
        "change": _change(there, here),
        "live": counted(now),
        "since": _change(here, now),
    }


def _change(before: int | None, after: int | None) -> str:
    """Return by how much a number has changed, nothing where it has not or is not known."""
    if before is None or after is None or before == after:
        return ""
    return f"{after - before:+,}"
