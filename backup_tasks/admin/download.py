"""Sends a package to the browser."""

from __future__ import annotations

from django.http import FileResponse, HttpRequest

from backup_tasks.admin.read_only import DOWNLOAD, require
from backup_tasks.errors import PackageNotFound
from backup_tasks.evidence import audit
from backup_tasks.models import Package
from backup_tasks.storage import catalogue


def download(request: HttpRequest, package: Package) -> FileResponse:
    """Return the package as a file, as it lies in its store, read while it is sent.

    The audit trail has who took it before the first byte is sent. Raises PermissionDenied,
    PackageNotFound, PackageDamaged, StorageUnavailable, StorageRefused.
    """
    require(request, DOWNLOAD)
    store = dict(catalogue.stores()).get(package.store)
    if store is None:
        raise PackageNotFound(f"there is no store {package.store!r} now", obj=package.name)
    file = store.open(package.name)
    by, details = request.user.get_username(), {"sha256": package.sha256}
    audit.record("downloaded", package.name, through="admin", by=by, details=details)
    return FileResponse(
        file,
        as_attachment=True,
        filename=package.name,
        content_type="application/octet-stream",
        headers={"Content-Length": str(package.size), "Cache-Control": "no-store"},
    )
