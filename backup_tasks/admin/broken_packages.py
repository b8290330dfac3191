"""What is wrong in the stores that are folders of this machine. A page asks: it can't wait until
ten thousand sidecars are read."""

from __future__ import annotations

import os
from collections.abc import Collection
from contextlib import suppress

from django.core.files.storage import FileSystemStorage
from django.db.models import Min

from backup_tasks.errors import BackupError
from backup_tasks.models import Package
from backup_tasks.package import names
from backup_tasks.status.packages import Looked
from backup_tasks.storage import catalogue
from backup_tasks.storage.file_storages import storage_for
from backup_tasks.storage.verdicts import CLOCKS_DIFFER


def broken_on_this_machine(looked: Looked) -> list[BackupError]:
    """Return what is wrong with sidecars that the index does not know, or that have changed since
    it was made, or whose package has. Other stores are read when a person refreshes the list, or a
    run does."""
    found: list[BackupError] = []
    for alias, store in catalogue.stores():
        if isinstance(storage_for(alias), FileSystemStorage):
            unchanged = _unchanged(alias, looked.in_folders.get(alias, ()))
            try:
                listing = store.listing(without=unchanged)
            except BackupError as error:
                found.append(error)
            else:
                found += [odd.error for odd in listing.broken]
    return found


def _unchanged(alias: str, packages: Collection[str]) -> set[str]:
    """Return the file names of the sidecars of these packages that are older than the index."""
    read = Package.objects.filter(store=alias).aggregate(at=Min("seen_at"))["at"]
    if read is None:
        return set()
    before = (read - CLOCKS_DIFFER).timestamp()
    sidecars = {names.sidecar_name(name) for name in packages}
    unchanged = set()
    with suppress(OSError), os.scandir(storage_for(alias).path("")) as entries:
        for entry in entries:
            # Not the time of the content: a copy keeps that of what it is a copy of.
            if entry.name in sidecars and entry.stat().st_ctime < before:
                unchanged.add(entry.name)
    return unchanged
