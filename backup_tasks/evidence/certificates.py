"""Writes what a drill proved beside the packages, in the folder `certificates` of their store.

Nothing here replaces or removes a certificate, and no prune does: it outlives its package.
"""

from __future__ import annotations

import platform
import socket
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, cast

import django
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage, Storage
from django.db import connections

import backup_tasks
from backup_tasks import ledger, moments
from backup_tasks.conf import backup_settings
from backup_tasks.error_classification import STORAGE_HINT, storage_failed, vendor_errors
from backup_tasks.errors import BackupError, PackageDamaged
from backup_tasks.evidence import audit
from backup_tasks.evidence.certificate_page import page
from backup_tasks.models import Package
from backup_tasks.package import keys
from backup_tasks.package.certificate import (
    CERTIFICATE_LIMIT,
    Certificate,
    CertifiedPackage,
    ProvenFiles,
    ProvenModel,
)
from backup_tasks.package.facts import PackageType
from backup_tasks.package.manifest import Manifest
from backup_tasks.package.names import in_database
from backup_tasks.package.streams import written_whole
from backup_tasks.rows.databases import each_database, further_alias
from backup_tasks.storage.file_storages import storage_for
from backup_tasks.storage.installation import this_installation

FOLDER = "certificates"
FORMATS = ("json", "html")

Results = Mapping[str, Mapping[str, Any]]


def of_drill(run_id: str, manifest: Manifest, results: Results) -> dict[str, Any]:
    """Write the certificate of a drill whose steps have proven the package; return what the step's
    result says: {"certificate": its name without an ending, "certificate_in": the store's alias,
    "warnings"}.

    The drill has proven what it has proven: where the store does not take the certificate, that is
    a warning. A second call leaves the first certificate as it is.
    """
    settings = backup_settings()
    store = _store_of(results)
    warnings = []
    try:
        key = keys.signing_key(settings)
        certificate = _certificate(run_id, manifest, results)
        _write(store, certificate.signed(key) if key else certificate, key)
        if key is None and settings.trusted_keys:
            warnings.append("the certificate is not signed: this host has no SIGNING_KEY")
    except (BackupError, OSError) as error:
        return {"certificate": None, "warnings": [f"no certificate was written: {error}"]}
    return {"certificate": run_id, "certificate_in": store, "warnings": warnings}


def read(alias: str, run_id: str, format: str) -> bytes:
    """Return a certificate as it lies in a store. Raises FileNotFoundError, StorageUnavailable,
    StorageRefused, PackageDamaged for one that is too large."""
    return _read(storage_for(alias), _name(run_id, format), alias)


def _store_of(results: Results) -> str:
    sha256 = results.get("fetch", {}).get("sha256")
    row = Package.objects.filter(sha256=sha256).first() if sha256 else None
    return row.store if row else backup_settings().stores[0]


def _certificate(run_id: str, manifest: Manifest, results: Results) -> Certificate:
    run = ledger.find(run_id)
    fetched, proven = results["fetch"], results["validate"]
    settings = backup_settings()
    here = {further_alias(each): connections[each.database] for each in each_database(settings)}
    entries = {
        in_database(alias, entry.label): entry
        for alias, part in manifest.parts.items()
        for entry in part.models
    }
    equal: Mapping[str, bool] = proven["digests_equal"]
    lacking = [name for name in entries if equal.get(name) is not True]
    if lacking:
        raise PackageDamaged(f"not proven: {', '.join(lacking)}", obj=run_id)
    asked = cast("PackageType", run.params.get("type") or "full")
    last = audit.anchor()
    restored_files = manifest.files if proven["files"] is not None else None
    return Certificate(
        run=run_id,
        type=manifest.type if asked == "full" else asked,
        project=manifest.project,
        installation=this_installation(),
        host=socket.gethostname(),
        label=manifest.label,
        started_at=_iso(run.started_at or run.created_at),
        finished_at=_iso(moments.now()),
        package=CertifiedPackage(
            name=str(fetched["package"]),
            id=manifest.id,
            sha256=fetched.get("sha256") or "",
            size=fetched.get("size") or 0,
            created_at=manifest.created_at,
            signed_by=fetched.get("signed_by") or "",
        ),
        exactly=all(
            part.database.get("vendor") == here[alias].vendor
            for alias, part in manifest.parts.items()
        ),
        models=tuple(
            ProvenModel(
                label=name,
                rows=proven["counts"][name],
                digest=entry.digest,
                exact=entry.exact,
                dangling=entry.dangling,
            )
            for name, entry in entries.items()
        ),
        excluded=tuple(
            replace(left, label=in_database(alias, left.label))
            for alias, part in manifest.parts.items()
            for left in part.excluded
        ),
        files=ProvenFiles(
            count=restored_files.count,
            total_size=restored_files.total_size,
            index_sha256=restored_files.sha256,
        )
        if restored_files
        else None,
        versions={
            "backup_tasks": backup_tasks.__version__,
            "Python": platform.python_version(),
            "Django": django.get_version(),
            **{each.vendor: _server_version(each) for each in here.values()},
        },
        audit_position=last.position if last else 0,
        audit_hash=last.hash if last else "",
    )


def _server_version(connection: Any) -> str:
    found = connection.get_database_version()
    return ".".join(str(part) for part in found)


def _write(alias: str, certificate: Certificate, key: str | None) -> None:
    """Write the JSON, then the page that is made from it. What is there stays: an attempt that was
    killed in between is completed. Raises StorageUnavailable, StorageRefused."""
    storage = storage_for(alias)
    try:
        made = _read(storage, _name(certificate.run, "json"), alias)
    except FileNotFoundError:
        made = certificate.to_json()
        _put(storage, _name(certificate.run, "json"), made, alias)
    certificate = Certificate.from_json(made, _name(certificate.run, "json"))
    _put(storage, _name(certificate.run, "html"), page(certificate, key), alias)


def _name(run_id: str, format: str) -> str:
    return f"{FOLDER}/{run_id}.{format}"


def _put(storage: Storage, name: str, content: bytes, alias: str) -> None:
    try:
        if storage.exists(name):
            return
        if isinstance(storage, FileSystemStorage):
            path = Path(storage.path(name))
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with written_whole(path) as file:
                file.write(content)
        else:
            storage.save(name, ContentFile(content, name))
    except _failing() as error:
        what = f"the store {alias!r} failed"
        raise storage_failed(what, error, obj=name, hint=STORAGE_HINT) from error


def _read(storage: Storage, name: str, alias: str) -> bytes:
    try:
        with storage.open(name, "rb") as file:
            content: bytes = file.read(CERTIFICATE_LIMIT + 1)
    except FileNotFoundError:
        raise
    except _failing() as error:
        what = f"the store {alias!r} failed"
        raise storage_failed(what, error, obj=name, hint=STORAGE_HINT) from error
    if len(content) > CERTIFICATE_LIMIT:
        raise PackageDamaged("this is too large for a certificate", obj=name)
    return content


def _failing() -> tuple[type[Exception], ...]:
    return (OSError, *vendor_errors())


def _iso(moment: datetime) -> str:
    return moment.isoformat()
