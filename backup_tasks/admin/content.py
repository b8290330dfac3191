"""What live and a package hold, as far as that can be told quickly."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from django.core.files.storage import FileSystemStorage

from backup_tasks.admin.display import counted
from backup_tasks.conf import backup_settings
from backup_tasks.errors import BackupError
from backup_tasks.models import Package, Step
from backup_tasks.package.reader import read_manifest
from backup_tasks.restore.plan import live_counts
from backup_tasks.storage.file_storages import storage_for


@dataclass(frozen=True, kw_only=True)
class Change:
    """The rows of a model now, and after a restore."""

    model: str
    now: str
    then: str
    """A dash where the package does not say."""
    differs: bool
    """Whether the number changes."""


def live() -> dict[str, int]:
    """Return the rows of each model now. Raises BackupError."""
    return live_counts(backup_settings())


def rows_of(package: Package) -> Mapping[str, int] | None:
    """Return the rows per model in a package, None where that would take reading all of it.

    The ledger knows the packages that it saw made, verified or drilled; of another one the
    manifest is read, where it lies on this machine and is not encrypted. Not where keys are
    trusted: the signature is of the whole package, and that is not read for a page.
    """
    done = Step.objects.filter(state=Step.State.SUCCEEDED, result__package=package.name)
    for step in done.order_by("-finished_at")[:10]:
        key = "counts" if step.name == "safety" else "expected"
        if counts := step.result.get(key):
            return dict(counts)
    storage = storage_for(package.store)
    trusted = backup_settings().trusted_keys
    if trusted or package.encrypted or not isinstance(storage, FileSystemStorage):
        return None
    try:
        with tempfile.TemporaryDirectory() as scratch:
            path = Path(storage.path(package.name))
            manifest = read_manifest(path, identities=(), scratch=Path(scratch))
    except BackupError:
        return None  # a restore of it reports what is wrong
    return manifest.counts


def changes(now: Mapping[str, int], then: Mapping[str, int] | None) -> list[Change]:
    """Return what becomes of each model that has rows now or then, by name."""
    after = then if then is not None else {}
    return [
        Change(
            model=name,
            now=counted(now.get(name)),
            then=counted(after.get(name)),
            differs=then is not None and now.get(name) != after.get(name),
        )
        for name in sorted({*now, *after})
        if now.get(name) or after.get(name)
    ]
