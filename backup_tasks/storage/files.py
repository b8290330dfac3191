"""The files of one storage: read, listed, written and moved."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from errno import ENOENT
from hashlib import sha256
from pathlib import Path
from shutil import copyfileobj
from typing import BinaryIO, cast
from uuid import uuid4

from django.core.files.storage import FileSystemStorage, Storage, storages

from backup_tasks.conf import backup_settings
from backup_tasks.error_classification import STORAGE_HINT, storage_failed, vendor_errors
from backup_tasks.errors import (
    Misconfigured,
    SourceChanged,
    StorageRefused,
    StorageUnavailable,
)
from backup_tasks.package.names import RESERVED
from backup_tasks.package.streams import CHUNK, chunks_of
from backup_tasks.storage import on_disk, undo_files
from backup_tasks.storage.exclusion import EXCLUDED, is_excluded
from backup_tasks.storage.folder_scan import FolderScan, Found, in_order
from backup_tasks.storage.on_disk import (
    Access,
    give_to_owner_above,
    make_durable,
    make_folder,
    remove_empty,
)
from backup_tasks.storage.stoppable_file import StoppableFile

_NOT_OPENED = "It was not opened. A backup that finds it when it lists the storage leaves it out."


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One file of a package or of a storage."""

    name: str
    size: int
    sha256: str
    access: Access | None = field(default=None, compare=False)
    """On a file system. A file of the same content is the same file."""


class Tree:
    """The files of one storage."""

    def __init__(self, alias: str) -> None:
        self.alias = alias
        self.storage = storages[alias]
        self._scan: FolderScan | None = None
        self._of_runs: FileSystemStorage | None = None
        self._excludes = bool(backup_settings().files_exclude)
        if isinstance(self.storage, FileSystemStorage):
            if apart := undo_files.folder_for(alias):
                self._of_runs = undo_files.storage_in(apart, alias)
            follow, root = backup_settings().follow_links, Path(self.storage.path(""))
            self._scan = FolderScan(root, reserved=RESERVED, apart=apart, follow=follow)

    @property
    def is_local(self) -> bool:
        """Whether it is a file system, where a file or folder is renamed in one instant."""
        return self._scan is not None

    @property
    def folder(self) -> Path | None:
        """Where the files are, if they are on a disk of this machine."""
        return Path(self.storage.path("")) if self._scan else None

    def _at(self, name: str) -> tuple[Storage, str]:
        """Return the storage that has the file of a name, and its name there."""
        if self._of_runs is not None and undo_files.is_of_a_run(name):
            return self._of_runs, name.removeprefix(RESERVED).lstrip("/")
        return self.storage, name

    def _path(self, name: str) -> Path:
        storage, there = self._at(name)
        return Path(storage.path(there))

    def run_folders(self) -> list[str]:
        """Return the names of the run folders."""
        with suppress(FileNotFoundError):
            storage, there = self._at(RESERVED)
            return list(storage.listdir(there)[0])
        return []

    @contextmanager
    def failures(self, name: str) -> Iterator[None]:
        """Say which storage and file it was, where the library of a storage raises its own errors;
        those of the operating system name the file themselves."""
        try:
            yield
        except vendor_errors() as error:
            where = f"storage {self.alias}"
            raise storage_failed(
                f"{where} failed",
                error,
                obj=f"{where}: {name}" if name else where,
                hint=STORAGE_HINT,
            ) from error

    def names(self, folder: str = "") -> Iterator[str]:
        """Yield the names of all files, in the order of their path's parts; ours left out."""
        return (found.name for found in self.found(folder) if not found.left_out)

    def found(self, folder: str = "") -> Iterator[Found]:
        """Yield the files in that order, and also what is left out: by the settings, or because it
        is not a file (links to elsewhere, pipes, devices)."""
        for each in self._all(folder):
            excluded = self._excludes and not each.left_out and is_excluded(each.name)
            yield replace(each, left_out=EXCLUDED) if excluded else each

    def _all(self, folder: str) -> Iterator[Found]:
        if self._scan:
            yield from self._scan.found(folder)
            return
        try:
            with self.failures(folder):
                folders, files = self.storage.listdir(folder)
        except FileNotFoundError:
            return
        except NotImplementedError as error:
            raise Misconfigured(
                "the storage can't list its files",
                obj=f"storage {self.alias}",
                hint="Use a storage with listdir(), or take the alias out of FILE_STORAGES.",
            ) from error
        both = [(name, False) for name in files] + [(name, True) for name in folders]
        for name, is_folder in sorted(both, key=lambda pair: in_order(pair[0])):
            path = f"{folder}/{name}" if folder else name
            if not is_folder:
                yield Found(name=path)
            elif name in ("", ".", ".."):
                # S3 lists "a//b" as a folder "." within "a", and the same within that, for ever.
                raise StorageRefused(
                    f"it lists a folder called {name!r}: a key has two slashes in a row, or dots "
                    "for a folder, and can't be reached by its name",
                    obj=f"storage {self.alias}: {folder or '/'}",
                    hint="Give the object another key.",
                )
            elif path != RESERVED:
                yield from self._all(path)

    def open(self, name: str) -> BinaryIO:
        """Open a file for reading. Raises FileNotFoundError; SourceChanged if it is not a
        file: opening a pipe could wait for ever."""
        if self._scan and (why := self._scan.why_left_out(self._path(name))):
            raise SourceChanged(
                f"it is {why}", obj=f"storage {self.alias}: {name}", hint=_NOT_OPENED
            )
        with self.failures(name):
            storage, there = self._at(name)
            return cast(BinaryIO, storage.open(there, "rb"))

    def exists(self, name: str) -> bool:
        """Whether there is a file of that name."""
        with self.failures(name):
            storage, there = self._at(name)
            return storage.exists(there)

    def in_the_way(self, name: str) -> str:
        """Return the file that keeps this name from being one: a file where it needs a folder, or
        one in a folder of that name. "" if there is none; folders without files are no obstacle."""
        if not self._scan:
            return ""
        self._refuse_obstacle(name)
        parts = name.split("/")
        above = ("/".join(parts[:length]) for length in range(1, len(parts)))
        if found := next((part for part in above if self._path(part).is_file()), ""):
            return found
        if self._path(name).is_dir():
            return next((each.name for each in self._all(name) if not each.left_out), "")
        return ""

    def entry(self, name: str) -> Entry:
        """Read the file through, and return its size and SHA-256. Raises FileNotFoundError."""
        hashed, size = sha256(), 0
        access = Access.of(self._path(name)) if self._scan else None
        with self.failures(name), self.open(name) as stream:
            for chunk in chunks_of(stream):
                hashed.update(chunk)
                size += len(chunk)
        return Entry(name=name, size=size, sha256=hashed.hexdigest(), access=access)

    def write(
        self, name: str, content: BinaryIO, *, access: Access | None = None, below: str = ""
    ) -> None:
        """Write a file under exactly this name, replacing one that has it. On a file system, and
        where the storage overwrites, this is atomic: a reader finds the old file or the new one.

        On a file system it gets the owner of its folder, or the `access` that is given. There,
        `below` is a folder that must exist, see `move`.
        """
        if not self._scan:
            self._save(name, content)
            return
        folder = name.rpartition("/")[0]
        partial = f"{folder}/.{uuid4().hex}.partial".lstrip("/")
        try:
            path = self._writable(partial, below)
            if below:  # a storage would make the folder anew
                with path.open("xb") as file:
                    copyfileobj(StoppableFile(content), file, CHUNK)
            else:
                self._save(partial, content)
            give_to_owner_above(path)
            if access is not None:
                access.give_to(path)
            make_durable(str(path))
            self.move(partial, name, below=below)
        except BaseException:
            self.delete(partial)
            raise

    def _save(self, name: str, content: BinaryIO) -> None:
        with self.failures(name):
            storage, there = self._at(name)
            if storage.get_available_name(there) != there:
                storage.delete(there)
            saved = storage.save(there, StoppableFile(content))
        if saved != there:
            storage.delete(saved)
            raise StorageUnavailable(
                f"the storage chose the name {saved} for it",
                obj=name,
                hint=f"Storage {self.alias} must keep names as they are.",
            )

    def move(self, source: str, target: str, *, below: str = "") -> None:
        """Rename a file, replacing one that has the name; on a file system this is atomic.

        Folders of the target are made as needed; of a file system only those below `below`, where
        that is given: if that folder is not there itself, FileNotFoundError is raised.
        """
        if self._scan:
            original = self._path(source)
            if not os.path.lexists(original):
                raise FileNotFoundError(ENOENT, os.strerror(ENOENT), str(original))
            path = self._writable(target, below)
            if path.is_dir():
                remove_empty(path)
            original.replace(path)
            return
        self.copy(source, target)
        self.delete(source)

    def copy(self, source: str, target: str, *, below: str = "") -> None:
        """Copy a file, by a hard link where the file system has them. For `below`, see `move`."""
        access = None
        if self._scan:
            path = self._writable(target, below)
            path.unlink(missing_ok=True)
            original = self._path(source)
            with suppress(OSError):  # not every file system has hard links
                os.link(original, path)
                return
            access = Access.of(original)
        with self.open(source) as content:
            self.write(target, content, access=access, below=below)

    def _writable(self, name: str, below: str = "") -> Path:
        """Return where a file of that name is, its folder made if need be: only folders below
        `below`, where that is given.

        Raises StorageRefused if the way there leads outside the storage, FileNotFoundError if the
        folder `below` is not there.
        """
        self._refuse_obstacle(name)
        path = self._path(name)
        if below:
            folder = self._path(below)
            for part in path.parent.relative_to(folder).parts:
                folder /= part
                folder.mkdir(exist_ok=True)
            return path
        if name.startswith(f"{RESERVED}/"):
            self._make_reserved(name)
        make_folder(path.parent)
        return path

    def _make_reserved(self, name: str) -> None:
        root = self._path("")
        ours = self._path(RESERVED) if undo_files.is_of_a_run(name) else root / RESERVED
        undo_files.make(ours, root)

    def is_folder(self, name: str) -> bool:
        """Whether a file system has a folder of that name."""
        return self._path(name).is_dir()

    def make_folder(self, name: str) -> None:
        """Make an empty folder within our own on a file system, unless there is one."""
        self._make_reserved(name)
        make_folder(self._path(name))

    def rename_folder(self, source: str, target: str) -> bool:
        """See `on_disk.rename_folder`."""
        return on_disk.rename_folder(self._path(source), self._path(target))

    def remove_if_empty(self, folder: str) -> bool:
        """See `on_disk.remove_if_empty`."""
        return on_disk.remove_if_empty(self._path(folder))

    def _refuse_obstacle(self, name: str) -> None:
        if not self._scan:
            return
        part, why = self._scan.obstacle(name)
        if why:
            raise StorageRefused(
                f"live has {why} under the name {part}, where a file is to be written",
                obj=f"storage {self.alias}: {name}",
                hint="Move it away first. BACKUP['FOLLOW_LINKS'] = True follows links that lead "
                "outside the storage, in backups and restores.",
            )

    def delete(self, name: str) -> None:
        """Delete a file; one that is gone already is fine."""
        with self.failures(name):
            storage, there = self._at(name)
            storage.delete(there)

    def remove_folder(self, folder: str) -> None:
        """Remove a folder and all files in it."""
        if not self._scan:
            for name in list(self.names(folder)):
                self.delete(name)
            return
        base = self._path(folder)
        with suppress(FileNotFoundError):
            shutil.rmtree(base)  # links are removed, not followed
        with suppress(OSError):  # its parent goes too, once it is empty
            base.parent.rmdir()
            base.parent.parent.rmdir()
