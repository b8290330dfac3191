"""Whether a package holds the files that it should hold.

A backup of a storage that is not mounted finds no file, and nothing fails. So what it found is held
against what the rows refer to, what was counted when the run began, and what the last package held.
Some files are always missing somewhere: a few are a warning.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TypedDict

from backup_tasks.conf import BackupSettings
from backup_tasks.errors import FilesMissing
from backup_tasks.models import Run, Step
from backup_tasks.package.manifest import Manifest


class Figures(TypedDict):
    """Files of one storage, when a package was made."""

    files: int
    """In the package."""
    referenced: int
    """That rows refer to, each counted once."""
    missing: int
    """Of these, not in the package."""


Storages = Mapping[str, Figures]
"""By storage alias."""

_NONE = Figures(files=0, referenced=0, missing=0)


def last_figures() -> Storages:
    """Return the figures of the last package of everything whose run has succeeded: it was
    complete, or accepted. {} if there is none since live was replaced, and its files with it."""
    replacing = (Run.Kind.RESTORE, Run.Kind.REINIT, Run.Kind.UNDO)
    packed = Step.objects.filter(
        name="pack", run__state=Run.State.SUCCEEDED, result__has_key="storages"
    )
    replaced = Run.objects.filter(kind__in=replacing, finished_at__isnull=False)
    if last := replaced.order_by("-finished_at").first():
        packed = packed.filter(finished_at__gt=last.finished_at)
    step = packed.order_by("-finished_at").first()
    return step.result["storages"] if step else {}


def problems(
    found: Storages, *, counted: Mapping[str, int], before: Storages, settings: BackupSettings
) -> Iterator[str]:
    """Yield what is missing beyond the settings, by storage.

    `counted` are the files that there were when the run began, by storage.
    """
    for alias in settings.file_storages:
        now, then = found.get(alias, _NONE), before.get(alias)
        known = min(then["missing"], now["missing"]) if then else 0
        lost, there = now["missing"] - known, now["referenced"] - known
        if _too_many(lost, there, settings, limited=then is not None):
            more = f", {lost} more than in the last package" if then and then["missing"] else ""
            yield (
                f"storage {alias}: {now['missing']} of {now['referenced']} files that rows refer "
                f"to are missing{more}"
            )
        elif not now["files"] and (there := counted.get(alias, 0)):
            yield f"storage {alias}: the run began with {there} files, and now there is none"
        elif not now["files"] and then and then["files"]:
            yield f"storage {alias}: the last package had {then['files']} files, now there is none"


def _too_many(lost: int, there: int, settings: BackupSettings, *, limited: bool) -> bool:
    """Whether so many were lost of those that should be there: half of all, or, after a package
    that had them, more than the settings allow."""
    if not lost:
        return False
    share = lost / there
    beyond = lost > settings.max_missing_files and share > settings.max_missing_share
    return share >= 0.5 or (limited and beyond)


def warnings(manifest: Manifest) -> Iterator[str]:
    """Yield what is to be said of a package wherever it is made or read."""
    if manifest.incomplete:
        yield f"the package is incomplete: {manifest.incomplete}"
    if manifest.accepted:
        yield f"accepted: {manifest.accepted}"
    yield from manifest.told


def files_missing(package: str, missing: str) -> FilesMissing:
    """Return the error of a backup whose package is incomplete."""
    return FilesMissing(
        missing,
        obj=package,
        hint="The package is kept with all of its rows, marked incomplete. Is each storage "
        "mounted, and MEDIA_ROOT (STORAGES) the same on all workers? Then back up again. If the "
        "files are gone for good: create_backup --accept-missing-files. How many may be missing is "
        "in BACKUP['MAX_MISSING_FILES'] and BACKUP['MAX_MISSING_SHARE'].",
    )
