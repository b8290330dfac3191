"""Where the run folders of a storage on disk lie: in its folder `.backup_tasks`, which a web server
may serve; or in a folder of their own, which BACKUP['UNDO_FILES'] names.

That folder must be on the file system of the storage. A run moves files between the two in one
system call each: docs/adr/0007.
"""

from __future__ import annotations

import errno
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

from django.conf import settings as django_settings
from django.core.files.storage import FileSystemStorage, storages

from backup_tasks.conf import backup_settings
from backup_tasks.errors import Misconfigured
from backup_tasks.package.names import RESERVED
from backup_tasks.storage.on_disk import give_to_owner_of, make_folder, make_private

ID = "id"
"""File by which the folder is recognized, as the storage is by its `.backup_tasks/id`."""

_PROBE = ".probe"


def folder_for(alias: str) -> Path | None:
    """Return the folder that the settings name for a storage, links resolved; None if they name
    none."""
    named = backup_settings().undo_files.get(alias)
    return Path(named).resolve() if isinstance(named, str | Path) else None


def storage_in(folder: Path, alias: str) -> FileSystemStorage:
    """Return a storage as the one of the alias, but in this folder: what is written there can be
    moved here. Raises Misconfigured if its class can't be given a folder."""
    given: dict[str, Any] = django_settings.STORAGES[alias]
    options = {**given.get("OPTIONS", {}), "location": str(folder)}
    with suppress(TypeError):
        storage = storages.create_storage({**given, "OPTIONS": options})
        if isinstance(storage, FileSystemStorage) and Path(storage.path("")) == folder:
            return storage
    raise Misconfigured(
        f"BACKUP['UNDO_FILES'] has a folder for it, and {given['BACKEND']} takes no location",
        obj=f"storage {alias}",
        hint="Take the alias out of UNDO_FILES: then run folders lie in the storage.",
    )


def is_of_a_run(name: str) -> bool:
    """Whether a name is that of the run folders, of one, or of what is in one. The id of the
    storage, and the file that it is written to at first, are not."""
    top, _, rest = name.partition("/")
    return top == RESERVED and rest != ID and not rest.startswith(".")


def make(folder: Path, root: Path) -> None:
    """Make a folder of ours, and that of its storage, if they are missing. Nobody but the owner of
    the storage can look into ours: it may lie where a web server finds it."""
    make_folder(root)
    if not folder.is_dir():
        make_folder(folder, 0o700)
        give_to_owner_of(root, folder)
    make_private(folder)


def on_another_file_system(folder: Path, root: Path) -> str:
    """Return what is wrong if a file can't be renamed from the folder into the storage's. Tried
    with a file, since two mounts of one file system count as two. "" if it can, or if it can't be
    tried: one of them is missing, or may not be written to."""
    name = f".{uuid4().hex}{_PROBE}"
    reserved = root / RESERVED  # where no backup looks
    probe, target = folder / name, (reserved if reserved.is_dir() else root) / name
    try:
        probe.touch(0o600, exist_ok=False)
        probe.rename(target)
    except OSError as error:
        if error.errno == errno.EXDEV:
            return f"{folder} is on another file system than {root}, or another mount of it"
    finally:
        for path in (probe, target):
            with suppress(OSError):
                path.unlink()
    return ""


def content(folder: Path) -> list[str]:
    """Return the names of what is in a folder; none if it is missing."""
    with suppress(FileNotFoundError):
        return sorted(path.name for path in folder.iterdir() if path.suffix != _PROBE)
    return []
