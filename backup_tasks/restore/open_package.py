"""Fetches a package, checks its signature and its sidecar, and unpacks it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backup_tasks.conf import BackupSettings, backup_settings
from backup_tasks.errors import NotEncrypted, PackageDamaged, SignatureInvalid
from backup_tasks.package import keys
from backup_tasks.package.manifest import Manifest
from backup_tasks.package.reader import check, is_encrypted, unpack
from backup_tasks.package.sidecar import Sidecar
from backup_tasks.package.signature import bare
from backup_tasks.package.streams import copy, written_whole
from backup_tasks.package.trust import is_trusted
from backup_tasks.progress import Progress
from backup_tasks.storage import disk_space, last_good
from backup_tasks.storage.disk_space import Need
from backup_tasks.storage.folder import copy_announced, sidecar_beside

Reads = Callable[[str, str], None]
"""Called with the name and SHA-256 of a package before it is read."""


@dataclass(frozen=True, kw_only=True)
class Opened:
    """A package that was fetched: a local file and its sidecar."""

    name: str
    path: Path
    sidecar: Sidecar | None
    """None for a file without one."""
    chosen: str = ""
    """Why this package was chosen, if nobody named one."""

    @property
    def sha256(self) -> str:
        """The sidecar's SHA-256, "" without a sidecar."""
        return self.sidecar.sha256 if self.sidecar else ""

    def facts(self) -> dict[str, Any]:
        """Return what a step's result says of it: {"package", "sha256", "size", "signed_by",
        "chosen"}; `signed_by` is the trusted key that did."""
        return {
            "package": self.name,
            "sha256": self.sha256 or None,
            "size": self.sidecar.size if self.sidecar else None,
            "signed_by": self._signer(),
            "chosen": self.chosen or None,
        }

    def _signer(self) -> str | None:
        trusted = backup_settings().trusted_keys
        if self.sidecar is None or not trusted:
            return None
        try:
            return bare(self.sidecar.verify(trusted))
        except SignatureInvalid:  # somebody allowed it
            return None


def fetch(
    name: str,
    folder: Path,
    *,
    params: Mapping[str, Any],
    own: bool = False,
    reads: Reads = lambda name, sha256: None,
) -> Opened:
    """Fetch a package by name, by path or, without a name, the last good one.

    Its signature is checked first. It is then copied to `folder` and its SHA-256 checked on the
    way, so later changes in the store don't matter. `params`: identity, allow_unsigned, store. The
    run's `own` package was just made here, and needs no signature. Raises PackageNotFound,
    PackageDamaged, SignatureInvalid, NotEncrypted, and KeyMissing for an invalid key, before
    anything is copied.
    """
    settings = backup_settings()
    keys.check_trusted(settings)
    keys.identities(settings, params)
    folder.mkdir(parents=True, exist_ok=True)
    path = Path(name)
    if is_file(name):
        sidecar = sidecar_beside(path)
        opened = Opened(name=str(path), path=folder / path.name, sidecar=sidecar)
        _admit(opened, params, settings, own=own, reads=reads)
        disk_space.require([Need(what="the package", folder=folder, size=path.stat().st_size)])
        with path.open("rb") as source, written_whole(opened.path) as target:
            if sidecar is None:
                copy(source, target)
            else:
                copy_announced(source, target, sidecar)
    else:
        allow_unsigned = own or bool(params.get("allow_unsigned"))
        store = "" if own else str(params.get("store", ""))
        choice = last_good.find(name, allow_unsigned=allow_unsigned, store=store)
        sidecar = choice.sidecar
        opened = Opened(
            name=sidecar.name, path=folder / sidecar.name, sidecar=sidecar, chosen=choice.why
        )
        _admit(opened, params, settings, own=own, reads=reads)
        disk_space.require([Need(what="the package", folder=folder, size=sidecar.size)])
        if choice.store.fetch(sidecar.name, opened.path) != sidecar:
            raise PackageDamaged(
                "the sidecar was replaced while the package was brought here",
                obj=opened.name,
                hint="Find out who writes to the store, then try again.",
            )
    if settings.require_encryption and not own and not is_encrypted(opened.path):
        raise _not_encrypted(opened)
    return opened


def is_file(name: str) -> bool:
    """Return whether a text is the path of a file. A text that can't be a path is not."""
    try:
        return bool(name) and Path(name).is_file()
    except (OSError, ValueError):  # too long, or with a NUL or half a character in it
        return False


def _admit(
    opened: Opened, params: Mapping[str, Any], settings: BackupSettings, *, own: bool, reads: Reads
) -> None:
    """Refuse, before the copy, what the sidecar shows to be refused."""
    sidecar = opened.sidecar
    # An untrusted sidecar may name the SHA-256 of another package, so it is not recorded.
    vouched = sidecar is not None and is_trusted(sidecar, settings.trusted_keys)
    reads(opened.name, opened.sha256 if vouched else "")
    if own:
        return
    if settings.trusted_keys and not params.get("allow_unsigned"):
        _check_signature(opened, settings)
    if settings.require_encryption and sidecar and not sidecar.encrypted:
        raise _not_encrypted(opened)


def _check_signature(opened: Opened, settings: BackupSettings) -> None:
    sidecar = opened.sidecar
    if sidecar is None:
        raise SignatureInvalid(
            "the package has no sidecar, so it is not signed",
            obj=opened.name,
            hint="Bring its sidecar along, or say --allow-unsigned if you know where it is from.",
        )
    if sidecar.signature is None and sidecar.project != settings.project:
        raise SignatureInvalid(
            f"the package is not signed, and it is of the project {sidecar.project!r}, not of "
            f"{settings.project!r}",
            obj=opened.name,
            hint="Use a package of this project.",
        )
    sidecar.verify(settings.trusted_keys)


def _not_encrypted(opened: Opened) -> NotEncrypted:
    return NotEncrypted(
        "the package is in clear",
        obj=opened.name,
        hint="BACKUP['REQUIRE_ENCRYPTION'] refuses it. Use an encrypted package; or, for one from "
        "before that was set, take the setting back for the time of the restore.",
    )


def unpack_into(
    folder: Path, opened: Opened, params: Mapping[str, Any], progress: Progress
) -> Manifest:
    """Unpack the package into `folder`, and check every byte.

    Raises PackageDamaged, KeyMissing, StorageRefused where there is no room for it.
    """
    shutil.rmtree(folder, ignore_errors=True)

    def admit(manifest: Manifest) -> None:
        check_sidecar(opened, manifest)
        size = manifest.totals.content_size + (manifest.files.size if manifest.files else 0)
        disk_space.require([Need(what="the package's content", folder=folder, size=size)])

    if is_encrypted(opened.path):
        size = opened.path.stat().st_size
        disk_space.require([Need(what="the package, decrypted", folder=folder, size=size)])
    return unpack(
        opened.path,
        folder,
        identities=keys.identities(backup_settings(), params),
        progress=_bytes(progress, "unpacking"),
        admit=admit,
    )


def check_contents(
    opened: Opened, scratch: Path, params: Mapping[str, Any], progress: Progress
) -> Manifest | None:
    """Read the whole package and check every row and file. Raises PackageDamaged.

    Returns None for an encrypted package without an identity to open it. A worker without the
    private key can prove the SHA-256 only, and `fetch` has done so.
    """
    identities = keys.identities(backup_settings(), params)
    if not identities and is_encrypted(opened.path):
        return None
    scratch.mkdir(parents=True, exist_ok=True)

    def admit(manifest: Manifest) -> None:
        check_sidecar(opened, manifest)
        listed = manifest.files.size if manifest.files else 0
        disk_space.require([Need(what="the list of files", folder=scratch, size=listed)])

    return check(
        opened.path,
        identities=identities,
        scratch=scratch,
        progress=_bytes(progress, "reading"),
        admit=admit,
    )


def check_sidecar(opened: Opened, manifest: Manifest) -> None:
    """Raise PackageDamaged unless sidecar and manifest agree in all that both have."""
    sidecar = opened.sidecar
    if sidecar is None:
        return
    told = [
        f"{field}: the sidecar says {getattr(sidecar, field)}, the manifest "
        f"{getattr(manifest, field)}"
        for field in sidecar.differences(manifest)
    ]
    if sidecar.encrypted != is_encrypted(opened.path):
        told.append(f"encrypted: the sidecar says {sidecar.encrypted}")
    if told:
        raise PackageDamaged(
            f"the sidecar is not that of this package ({'; '.join(told)})",
            obj=opened.name,
            hint="The package was replaced or renamed. Use another one.",
        )


def _bytes(progress: Progress, note: str) -> Any:
    done = 0

    def count(size: int) -> None:
        nonlocal done
        done += size
        progress(done, None, note)

    return count
