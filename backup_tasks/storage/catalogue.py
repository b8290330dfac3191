"""The index of packages. The sidecars in the stores are the truth; the rows can be made anew."""

from __future__ import annotations

from datetime import datetime

from django.utils import timezone

from backup_tasks.conf import backup_settings
from backup_tasks.errors import BackupError, PackageNotFound
from backup_tasks.models import Package
from backup_tasks.package.sidecar import Sidecar
from backup_tasks.storage.files import storage_for
from backup_tasks.storage.store import Store


def stores() -> list[tuple[str, Store]]:
    """Return the project's stores by alias; the first is the one that is written to."""
    return [(alias, Store(storage_for(alias), alias=alias)) for alias in backup_settings().stores]


def record(sidecar: Sidecar, store: str) -> None:
    """Enter a package that a store holds."""
    Package.objects.update_or_create(
        name=sidecar.name,
        defaults={
            "store": store,
            "package_id": sidecar.id,
            "label": sidecar.label,
            "type": sidecar.type,
            "size": sidecar.size,
            "sha256": sidecar.sha256,
            "encrypted": sidecar.encrypted,
            "signed": sidecar.signature is not None,
            "rows": sidecar.totals.rows,
            "files": sidecar.totals.files,
            "created_at": datetime.fromisoformat(sidecar.created_at),
        },
    )


def mark_verified(name: str) -> None:
    """Remember that every byte of the package was just read back and compared."""
    Package.objects.filter(name=name).update(verified_at=timezone.now())


def mark_drilled(name: str) -> None:
    """Remember that the package was just restored beside live, and proven."""
    Package.objects.filter(name=name).update(drilled_at=timezone.now())


def refresh() -> list[tuple[str, Sidecar]]:
    """Read every store and make the index say what is there. Return (alias, sidecar), newest first.

    What `broken()` tells of is not in the index: it is nothing to count on.
    """
    found = [(alias, sidecar) for alias, store in stores() for sidecar in store.listing().sidecars]
    for alias, sidecar in found:
        record(sidecar, alias)
    Package.objects.exclude(name__in=[sidecar.name for _, sidecar in found]).delete()
    return sorted(found, key=lambda pair: pair[1].created_at, reverse=True)


def broken() -> list[BackupError]:
    """Return what is wrong with packages that the stores have a sidecar of."""
    return [error for _, store in stores() for error in store.listing().broken]


def find(name: str) -> tuple[Store, Sidecar]:
    """Return the store and the sidecar of a package; an empty name means the newest.

    Raises PackageNotFound.
    """
    found = refresh()
    for alias, sidecar in found:
        if name in ("", sidecar.name, sidecar.id):
            return dict(stores())[alias], sidecar
    raise PackageNotFound(
        "no store holds a package of that name" if name else "no store holds a package",
        obj=name or ", ".join(backup_settings().stores),
        hint="list_packages shows what there is; a path to a file works too.",
    )
