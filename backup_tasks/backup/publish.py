"""Publishes a package, with its sidecar: in the store, or at the path that the operator named."""

from __future__ import annotations

from pathlib import Path

from backup_tasks.backup.options import PackageOptions
from backup_tasks.conf import BackupSettings, backup_settings
from backup_tasks.package import keys
from backup_tasks.package.manifest import Manifest
from backup_tasks.package.sidecar import Sidecar
from backup_tasks.package.streams import Written
from backup_tasks.storage import catalogue
from backup_tasks.storage.folder import publish_to_path, sidecar_beside
from backup_tasks.storage.installation import this_installation


def publish(
    path: Path, manifest: Manifest, name: str, written: Written, options: PackageOptions
) -> None:
    """Publish the package that was written to `path`, and remove that file.

    Raises what `publish_to_path` or `Store.publish` raises.
    """
    sidecar = _sidecar(manifest, name, written, options, backup_settings())
    if options.output:
        publish_to_path(path, options.output, sidecar)
    else:
        alias, store = catalogue.stores()[0]
        store.publish(path, sidecar)
        catalogue.record(sidecar, alias)
    path.unlink()


def earlier(manifest: Manifest, name: str, options: PackageOptions) -> Sidecar | None:
    """Return the sidecar of the package if an earlier attempt has published it, and was stopped
    before the ledger knew; else None."""
    _, store = catalogue.stores()[0]
    if options.output:
        sidecar = sidecar_beside(options.output)
    else:
        sidecar = store.sidecar(name) if store.exists(name) else None
    if sidecar is None or sidecar.id != manifest.id:
        return None
    return sidecar


def withdraw(folder: Path) -> None:
    """Remove from the store what an attempt that packed in `folder`, and was stopped, has left
    there: data without a sidecar, which is no package."""
    _, store = catalogue.stores()[0]
    for packed in folder.glob("packed/*"):
        store.withdraw(packed.name)


def _sidecar(
    manifest: Manifest,
    name: str,
    written: Written,
    options: PackageOptions,
    settings: BackupSettings,
) -> Sidecar:
    sidecar = Sidecar.of(
        manifest,
        name=name,
        written=written,
        compression=options.compression,
        recipients=settings.recipients if options.encrypted else (),
        installation=this_installation(),
    )
    key = keys.signing_key(settings)
    if key is not None:
        sidecar = sidecar.signed(key)
    # It is read as a store's reader would, so that no sidecar is published that can't be read.
    return Sidecar.from_json(sidecar.to_json(), sidecar.file_name)
