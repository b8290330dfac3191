"""Packs what the dump left: adds the project's files, writes the package, and has it published."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from backup_tasks.backup import completeness, contents, half_replaced, publish
from backup_tasks.backup.file_list import with_files
from backup_tasks.backup.options import PackageOptions, package_options
from backup_tasks.conf import backup_settings
from backup_tasks.errors import HandoverChanged
from backup_tasks.package.manifest import Manifest
from backup_tasks.package.names import INDEX, MANIFEST, package_name
from backup_tasks.package.streams import Written
from backup_tasks.package.writer import write_package
from backup_tasks.progress import Progress
from backup_tasks.storage.file_storages import project_trees


@dataclass(frozen=True, kw_only=True)
class Packed:
    """A package that was published."""

    name: str
    """Or its path, if it was written to one."""
    written: Written
    manifest: Manifest
    storages: completeness.Storages
    """{} for a package without files."""


def pack_files(
    folder: Path,
    *,
    params: Mapping[str, Any],
    progress: Progress,
    counted: Mapping[str, int] | None = None,
    safety: bool = False,
) -> Packed:
    """Add the files to what the dump left, write the package, and publish it.

    A package that lacks files which it should hold, by the rows, by what was `counted` before, by
    storage, and by the last package, is published as well: its manifest says `incomplete`, or
    `accepted` if the params say so. So is one of a live that was half replaced; only a `safety`
    backup accepts that.

    A second call after a crash publishes nothing twice: the name is made of the snapshot's time and
    the id. Raises SourceChanged (tried again by the caller) if a file changes while it is packed.
    """
    settings = backup_settings()
    options = package_options(params, settings)
    manifest = _dumped(folder)
    index: Path | None = None
    storages: completeness.Storages = {}
    if contents.holds_files(params):
        index = folder / INDEX
        manifest, storages = with_files(
            manifest, folder, params, counted=counted or {}, progress=progress
        )
    manifest = half_replaced.marked(manifest, folder, params, accept=safety)
    name = options.output.name if options.output else _name(manifest, options)
    if published := publish.earlier(manifest, name, options):
        return Packed(
            name=str(options.output or name),
            written=Written(size=published.size, sha256=published.sha256),
            manifest=replace(manifest, incomplete=published.incomplete),
            storages=storages,
        )
    target = folder / "packed" / name
    target.parent.mkdir(exist_ok=True)
    trees = {tree.alias: tree for tree in project_trees()}
    done = 0

    def count(size: int) -> None:
        nonlocal done
        done += size
        progress(done, manifest.totals.content_size, "packing")

    written = write_package(
        target,
        manifest=manifest,
        rows=folder,
        index=index,
        open_file=lambda storage, file: trees[storage].open(file),
        compression=options.compression,
        recipients=settings.recipients if options.encrypted else (),
        progress=count,
    )
    publish.publish(target, manifest, name, written, options)
    return Packed(
        name=str(options.output or name), written=written, manifest=manifest, storages=storages
    )


def _dumped(folder: Path) -> Manifest:
    """Return the manifest that the dump left. Raises HandoverChanged."""
    try:
        return Manifest.from_json((folder / MANIFEST).read_bytes())
    except FileNotFoundError as error:
        raise HandoverChanged(
            f"what the dump left is gone from the workspace, as host {socket.gethostname()} has it",
            obj=str(folder),
            hint="BACKUP['WORKSPACE'] must be one folder for all workers. Start the backup again.",
        ) from error


def _name(manifest: Manifest, options: PackageOptions) -> str:
    return package_name(
        project=manifest.project,
        created_at=datetime.fromisoformat(manifest.created_at),
        label=manifest.label,
        id=manifest.id,
        compression=options.compression,
        encrypted=options.encrypted,
    )
