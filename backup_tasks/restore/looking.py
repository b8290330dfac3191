"""Opens a package for somebody who wants to look into it, and takes single files out."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from backup_tasks.conf import backup_settings
from backup_tasks.errors import DoesNotFit, KeyMissing, PackageDamaged, StorageRefused
from backup_tasks.package import keys
from backup_tasks.package.entries import ModelEntry
from backup_tasks.package.index import FileEntry
from backup_tasks.package.look import Look, look_into
from backup_tasks.package.manifest import Manifest
from backup_tasks.package.names import in_database
from backup_tasks.package.reader import is_encrypted
from backup_tasks.printable import shown
from backup_tasks.restore import open_package
from backup_tasks.storage import catalogue, disk_space, workspace
from backup_tasks.storage.disk_space import Need, in_words
from backup_tasks.storage.folder import sidecar_beside


class Looking:
    """An open package that may be looked into: its bytes are those that its sidecar states."""

    def __init__(self, look: Look, scratch: Path) -> None:
        self._look, self._scratch = look, scratch

    @property
    def manifest(self) -> Manifest:
        """What the package says of itself."""
        return self._look.manifest

    def model(self, name: str) -> tuple[Manifest, ModelEntry]:
        """Return the entry of a model by `names.in_database`, upper or lower case, and the manifest
        of its database. Raises DoesNotFit if the package does not hold it."""
        for alias, part in self.manifest.parts.items():
            for entry in part.models:
                if in_database(alias, entry.label) == name.lower():
                    return part, entry
        raise DoesNotFit(
            "the package holds no such model",
            obj=shown(name),
            hint="The page of the package, or show_package without --model, lists its models.",
        )

    def lines(self, entry: ModelEntry) -> Iterator[bytes | None]:
        """Yield the lines of a model. See `Look.lines`."""
        return self._look.lines(entry)

    def files(self, *, search: str = "", start: int = 1) -> Iterator[tuple[int, FileEntry]]:
        """Yield the files from number `start` on whose name contains `search`, case ignored, each
        with its number, from 1."""
        wanted = search.casefold()
        for number, entry in enumerate(self._look.files(), 1):
            if number >= start and (not wanted or wanted in entry.name.casefold()):
                yield number, entry

    def take(self, entry: FileEntry) -> BinaryIO:
        """Return what a file of the package holds, as an unnamed file of the workspace, once it is
        proven by its SHA-256. Raises PackageDamaged,
        StorageRefused where there is no room for it."""
        disk_space.require([Need(what="the file", folder=self._scratch, size=entry.size)])
        with contextlib.ExitStack() as undo:
            file = undo.enter_context(tempfile.TemporaryFile(dir=self._scratch))
            for chunk in self._look.content(entry):
                file.write(chunk)
            file.seek(0)
            undo.pop_all()
        return file


@contextlib.contextmanager
def looking_into(
    name: str, *, params: Mapping[str, Any], sha256: str = "", limit: int | None = None
) -> Iterator[Looking]:
    """Open a package by name or path. `params`: identity, allow_unsigned. `sha256`: the one that it
    must have. `limit`: bytes, packed or unpacked, of the largest that is opened.

    Its signature is checked first, then the SHA-256 of a copy in the workspace, and only then is
    anything of it read. Nothing of it is left behind. Raises what `open_package.fetch` raises,
    KeyMissing, StorageRefused where it is too large.
    """
    settings = backup_settings()

    def be_the_same(found: str, stated: str) -> None:
        if sha256 and stated and stated != sha256:
            raise PackageDamaged(
                "the store holds another package of that name than the index says",
                obj=found,
                hint="Press Refresh on the page of packages, then look again.",
            )

    with workspace.scratch() as scratch:
        _admit(name, params, limit)
        opened = open_package.fetch(name, scratch, params=params, reads=be_the_same)
        path = opened.path
        if is_encrypted(path):
            size = path.stat().st_size
            needs = [Need(what="the package, decrypted", folder=scratch, size=size)]
            disk_space.require(needs)
        identities = keys.identities(settings, params)
        with look_into(path, identities=identities, scratch=scratch) as look:
            open_package.check_sidecar(opened, look.manifest)
            yield Looking(look, scratch)


def _admit(name: str, params: Mapping[str, Any], limit: int | None) -> None:
    """Refuse, before anything is copied, what the sidecar shows to be in vain. Raises KeyMissing,
    StorageRefused, PackageNotFound."""
    sidecar = sidecar_beside(Path(name)) if open_package.is_file(name) else catalogue.find(name)[1]
    if sidecar is None:
        return
    if sidecar.encrypted and not keys.identities(backup_settings(), params):
        raise KeyMissing(
            "the package is encrypted, and there is no identity here to open it with",
            obj=sidecar.name,
            hint="Name the file of an identity in BACKUP['IDENTITIES'], for the processes that "
            f"show this; or look on a machine that has it: show_package {sidecar.name} "
            "--identity FILE.",
        )
    size = max(sidecar.size, sidecar.totals.content_size)
    if limit is not None and size > limit:
        raise StorageRefused(
            f"the package has {in_words(size)}, more than the {in_words(limit)} that a page opens",
            obj=sidecar.name,
            hint=f"Look into it by manage.py show_package {sidecar.name}, or raise "
            "BACKUP['LOOK_LIMIT'].",
        )
