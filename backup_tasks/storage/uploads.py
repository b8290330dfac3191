"""Uploaded packages in quarantine: folders of the workspace, in no store.

Nothing lists them, restores them or counts them: they are packages only once a run has verified
them and published them. A folder that is a day old is an orphan.
"""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from django.core.files.storage import FileSystemStorage

from backup_tasks.conf import backup_settings
from backup_tasks.errors import Misconfigured, PackageDamaged
from backup_tasks.package import names
from backup_tasks.package.reader import is_encrypted
from backup_tasks.package.sidecar import Sidecar
from backup_tasks.package.streams import Written
from backup_tasks.printable import shown
from backup_tasks.storage import catalogue, disk_space, workspace
from backup_tasks.storage.disk_space import Need
from backup_tasks.storage.file_storages import storage_for
from backup_tasks.storage.folder import read_sidecar, sidecar_beside

PACKAGE, SIDECAR = "package", "sidecar"
"""Names of the two files while they are received."""

_SUFFIXES = (".tar.zst", ".tar.gz", ".tgz", ".tar")


@dataclass(frozen=True, kw_only=True)
class Upload:
    """A package in quarantine."""

    token: str
    """Name of its folder."""
    path: Path
    size: int
    at: datetime

    @property
    def name(self) -> str:
        """What it is to be called in the store."""
        return self.path.name


def begin(size: int) -> Path:
    """Return a new folder that receives an upload of so many bytes. Raises StorageRefused if there
    is no room for it, for the copy that is verified, and in the store."""
    folder = _workspace()
    folder.mkdir(parents=True, exist_ok=True)
    needs = [Need(what="the upload, and the copy that is verified", folder=folder, size=2 * size)]
    storage = storage_for(catalogue.stores()[0][0])
    if isinstance(storage, FileSystemStorage):
        needs.append(Need(what="the package", folder=Path(storage.path("")), size=size))
    disk_space.require(needs)
    return Path(tempfile.mkdtemp(prefix=workspace.UPLOAD, dir=folder))


def complete(folder: Path, name: str, written: Written) -> Upload:
    """Give what was received its name. Raises Misconfigured for a name that is no package's or that
    a store knows, PackageDamaged if the sidecar is another's, DoesNotFit if it is of a newer
    format."""
    _refuse_name(name)
    sidecar_file = folder / SIDECAR
    if sidecar_file.exists():
        with sidecar_file.open("rb") as file:
            sidecar = read_sidecar(file, names.sidecar_name(name))
        if (sidecar.size, sidecar.sha256) != (written.size, written.sha256):
            raise PackageDamaged(
                "the sidecar is that of another package, or the package was altered",
                obj=name,
                hint="Upload the two files as they lie in their store.",
            )
        sidecar_file.rename(folder / sidecar.file_name)
    elif is_encrypted(folder / PACKAGE):
        raise Misconfigured(
            "an encrypted package needs its sidecar, which says for whom",
            obj=name,
            hint=f"Upload {names.sidecar_name(name)}, too.",
        )
    (folder / PACKAGE).rename(folder / name)
    return _upload(folder / name)


def refuse_known(name: str) -> None:
    """Raise Misconfigured if a store has a package of that name."""
    for alias, store in catalogue.stores():
        if store.exists(name):
            raise Misconfigured(
                f"the store {alias!r} has a package of that name",
                obj=name,
                hint="Nothing is overwritten. If it is another package, it can't have this name.",
            )


def _refuse_name(name: str) -> None:
    if not (names.is_file_name(name) and name.removesuffix(".age").endswith(_SUFFIXES)):
        raise Misconfigured(
            "this can't be the name of a package",
            obj=shown(name),
            hint=f"It ends in {', '.join(_SUFFIXES)}, with .age behind that if it is encrypted.",
        )
    refuse_known(name)


def waiting() -> list[Upload]:
    """Return what is in quarantine, newest first."""
    folder = _workspace()
    found = [
        _upload(path)
        for path in folder.glob(f"{workspace.UPLOAD}*/*")
        if path.name not in (PACKAGE, SIDECAR) and not path.name.endswith(".json")
    ]
    return sorted(found, key=lambda upload: upload.at, reverse=True)


def of(token: str) -> Upload | None:
    """Return the upload in that folder, None if there is none."""
    return next((upload for upload in waiting() if upload.token == token), None)


def sidecar_of(package: Path) -> Sidecar | None:
    """Return the sidecar that was uploaded with a package, None if there was none."""
    return sidecar_beside(package)


def remove(folder: Path) -> None:
    """Remove an upload, or what there is of one."""
    if folder.parent == _workspace() and folder.name.startswith(workspace.UPLOAD):
        shutil.rmtree(folder, ignore_errors=True)


def _workspace() -> Path:
    return backup_settings().workspace.absolute()


def _upload(path: Path) -> Upload:
    status = path.stat()
    return Upload(
        token=path.parent.name,
        path=path,
        size=status.st_size,
        at=datetime.fromtimestamp(status.st_mtime, tz=UTC),
    )
