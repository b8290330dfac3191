"""A store: a Django storage with packages and their sidecars.

A package exists when its sidecar does. So the data is written first and the sidecar last, and a
sidecar is deleted first and the data last: whatever is interrupted, nothing incomplete is listed.
The sidecars are the truth; any other list of packages is made from them.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.core.files import File
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage, Storage

from backup_tasks.error_classification import STORAGE_HINT, storage_failed, vendor_errors
from backup_tasks.errors import (
    BackupError,
    Misconfigured,
    PackageNotFound,
    StorageUnavailable,
)
from backup_tasks.package import names
from backup_tasks.package.damage import damaged
from backup_tasks.package.sidecar import Sidecar
from backup_tasks.package.streams import Writer, partial_name, written_whole
from backup_tasks.printable import shown
from backup_tasks.storage.folder import (
    Void,
    copy_announced,
    copy_from,
    must_be_file,
    must_be_same,
    must_match,
    put,
    read_sidecar,
)
from backup_tasks.storage.stoppable_file import StoppableFile


@dataclass(frozen=True, kw_only=True)
class Broken:
    """A sidecar that can't be read, or whose package is missing or of another size."""

    file_name: str
    """Of the sidecar, as it can be shown."""

    error: BackupError
    """What is wrong with it."""


@dataclass(frozen=True, kw_only=True)
class Listing:
    """The packages of a store."""

    sidecars: tuple[Sidecar, ...]
    """Newest first."""

    broken: tuple[Broken, ...]
    """Each must be shown, none is a package to count on."""


class Store:
    """Packages in a Django storage. `alias` is what errors call it.

    Every method raises StorageUnavailable or StorageRefused when the storage fails.
    """

    def __init__(self, storage: Storage, *, alias: str) -> None:
        self._storage = storage
        self._alias = alias

    def publish(self, path: Path, sidecar: Sidecar) -> None:
        """Put the package at `path` into the store under `sidecar.name`.

        Publishing the same package again is fine; data that an interrupted attempt left is
        replaced. Raises Misconfigured if another package has that name, HandoverChanged if the
        file is not what the sidecar says.
        """
        if not names.is_file_name(sidecar.name):
            raise Misconfigured("this can't be the name of a package", obj=sidecar.name)
        with self._failures(sidecar.name):
            if self._storage.exists(sidecar.file_name):
                must_be_same(self._read(sidecar.file_name), sidecar)
                self._check_data(sidecar)
            elif isinstance(self._storage, FileSystemStorage):
                target = Path(self._storage.path(sidecar.name))
                target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                put(path, target, sidecar)
            else:
                self._upload(path, sidecar)

    def listing(self, *, without: Collection[str] = ()) -> Listing:
        """Return what is in the store, but for the sidecars with these file names. Data without a
        sidecar is no package and not listed; nor is what is deleted while it runs."""
        sidecars: list[Sidecar] = []
        broken: list[Broken] = []
        with self._failures(""):
            file_names = self._sidecar_names()
        for file_name in file_names:
            if file_name in without:
                continue
            try:
                sidecars.append(self._listed(file_name))
            except BackupError as error:
                if self._is_gone(file_name):
                    continue
                if isinstance(error, StorageUnavailable) and not self._is_folder:
                    raise  # it is the store that does not answer, not this file that is odd
                name = shown(file_name)
                broken.append(Broken(file_name=name, error=error.about(name)))
        sidecars.sort(key=lambda sidecar: (sidecar.moment, sidecar.name), reverse=True)
        return Listing(sidecars=tuple(sidecars), broken=tuple(broken))

    def exists(self, name: str) -> bool:
        """Return whether a package of that name is published."""
        with self._failures(name):
            return names.is_file_name(name) and self._storage.exists(names.sidecar_name(name))

    def sidecar(self, name: str) -> Sidecar:
        """Return the sidecar of a package, asked for by its name with or without suffixes.

        Raises PackageNotFound, PackageDamaged, DoesNotFit.
        """
        missing = PackageNotFound(
            f"there is no package of that name in the store {self._alias!r}",
            obj=shown(name),
            hint="`list_packages` shows what there is.",
        )
        if not self.exists(name):
            raise missing
        with self._failures(name):
            try:
                found = self._read(names.sidecar_name(name))
            except FileNotFoundError as error:
                raise missing from error
        if found.name != name and not found.name.startswith(f"{name}."):
            raise missing
        return found

    def fetch(self, name: str, to: Path) -> Sidecar:
        """Copy a package to the file `to`, which appears only if it is what its sidecar says.

        Raises PackageNotFound; PackageDamaged when size or SHA-256 differ; DoesNotFit.
        """
        sidecar = self.sidecar(name)
        with self._failures(name), written_whole(to) as target:
            self._read_data(sidecar, target)
        return sidecar

    def open(self, name: str) -> File[Any]:
        """Return the file of a package, to be read and closed by the caller.

        Raises PackageNotFound; PackageDamaged when its size is not the sidecar's; DoesNotFit.
        """
        sidecar = self.sidecar(name)
        with self._failures(name):
            self._check_data(sidecar)
            return self._open(sidecar.name)

    def scrub(self, name: str) -> Sidecar:
        """Read a whole package and compare it with its sidecar. Needs no key, writes nothing.

        Raises PackageNotFound; PackageDamaged when size or SHA-256 differ; DoesNotFit.
        """
        sidecar = self.sidecar(name)
        with self._failures(name):
            self._read_data(sidecar, Void())
        return sidecar

    def delete(self, name: str) -> None:
        """Delete a package by its full name: its sidecar, then its data. One that is gone already
        is fine; a missing sidecar does not keep the data."""
        if not names.is_file_name(name):
            raise PackageNotFound("this can't be the name of a package", obj=name)
        with self._failures(name):
            self._storage.delete(names.sidecar_name(name))
            self._storage.delete(name)

    def withdraw(self, name: str) -> None:
        """Delete what an interrupted `publish` has left of a package. A published one stays."""
        with self._failures(name):
            sidecar = names.sidecar_name(name)
            if not self._storage.exists(sidecar):
                for left in (name, partial_name(name), partial_name(sidecar)):
                    self._storage.delete(left)

    def _sidecar_names(self) -> list[str]:
        try:
            if isinstance(self._storage, FileSystemStorage):
                # Django's own listing fails as a whole at one link that leads to itself.
                with os.scandir(self._storage.path("")) as entries:
                    files = [entry.name for entry in entries]
            else:
                files = self._storage.listdir("")[1]
        except FileNotFoundError:
            return []  # the folder appears with the first package
        return sorted(name for name in files if name.endswith(".json") and name[0] != ".")

    def _listed(self, file_name: str) -> Sidecar:
        if not names.is_sidecar_name(file_name):
            raise damaged("this can't be the name of a sidecar", obj=file_name)
        with self._failures(file_name):
            sidecar = self._read(file_name)
            self._check_data(sidecar)
        return sidecar

    def _is_gone(self, file_name: str) -> bool:
        if not names.is_sidecar_name(file_name):
            return False
        with self._failures(file_name):
            return not self._storage.exists(file_name)

    @property
    def _is_folder(self) -> bool:
        return isinstance(self._storage, FileSystemStorage)

    def _open(self, name: str) -> File[Any]:
        if isinstance(self._storage, FileSystemStorage):
            must_be_file(Path(self._storage.path(name)))
        return self._storage.open(name, "rb")

    def _read(self, file_name: str) -> Sidecar:
        with self._open(file_name) as file:
            return read_sidecar(file, file_name)

    def _read_data(self, sidecar: Sidecar, target: Writer) -> None:
        self._check_data(sidecar)
        with self._open(sidecar.name) as source:
            copy_announced(source, target, sidecar)

    def _check_data(self, sidecar: Sidecar) -> None:
        lost = damaged("the store has the sidecar, but not the package", obj=sidecar.name)
        if not self._storage.exists(sidecar.name):
            raise lost
        try:
            size = self._storage.size(sidecar.name)
        except FileNotFoundError as error:
            raise lost from error
        if size != sidecar.size:
            raise damaged(
                f"the sidecar says {sidecar.size} bytes, the store holds {size}", obj=sidecar.name
            )

    def _upload(self, path: Path, sidecar: Sidecar) -> None:
        must_match(copy_from(path, Void()), sidecar)
        if self._storage.exists(sidecar.name):
            self._storage.delete(sidecar.name)
        with path.open("rb") as source:
            self._save(sidecar.name, StoppableFile(source, sidecar.name))
        self._check_data(sidecar)
        self._save(sidecar.file_name, ContentFile(sidecar.to_json(), sidecar.file_name))

    def _save(self, name: str, content: File[Any]) -> None:
        saved = self._storage.save(name, content)
        if saved != name:
            self._storage.delete(saved)
            raise Misconfigured(
                f"the storage keeps {name} under another name, {saved}",
                obj=self._alias,
                hint="A store must keep names as they are.",
            )

    @contextmanager
    def _failures(self, name: str) -> Iterator[None]:
        try:
            yield
        except _failing() as error:
            raise storage_failed(
                f"the store {self._alias!r} failed",
                error,
                obj=name or self._alias,
                hint=STORAGE_HINT,
            ) from error


def _failing() -> tuple[type[Exception], ...]:
    return (OSError, *vendor_errors())
