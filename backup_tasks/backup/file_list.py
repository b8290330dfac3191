"""The files of a package: which there are, and which should be there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from backup_tasks.backup import completeness, referenced_files
from backup_tasks.conf import backup_settings
from backup_tasks.package.index import FileEntry, write_index
from backup_tasks.package.manifest import Manifest
from backup_tasks.package.names import INDEX
from backup_tasks.progress import Progress
from backup_tasks.storage.files import project_trees


def with_files(
    manifest: Manifest,
    folder: Path,
    params: Mapping[str, Any],
    *,
    counted: Mapping[str, int],
    progress: Progress,
) -> tuple[Manifest, completeness.Storages]:
    """List the files that there are, and say in the manifest what is missing."""
    settings, partial = backup_settings(), manifest.type == "partial"
    with referenced_files.of(folder) as referred:
        found = write_index(_files(progress, referred if partial else None), folder / INDEX)
    compared = referenced_files.compare(folder, folder / INDEX, settings.file_storages)
    missing = "; ".join(
        completeness.problems(
            compared.figures,
            counted={} if partial else counted,
            before={} if partial else completeness.last_figures(),
            settings=settings,
        )
    )
    accepted = bool(params.get("accept_missing_files"))
    manifest = replace(
        manifest,
        files=found,
        warnings=manifest.warnings + compared.warnings,
        incomplete="" if accepted else missing,
        accepted=missing if accepted else "",
    )
    return manifest, compared.figures


def _files(progress: Progress, wanted: Callable[[str, str], bool] | None) -> Iterator[FileEntry]:
    """Yield every file of the project, or each that is wanted, by storage and name. One that is
    deleted meanwhile is not there (P13)."""
    for tree in project_trees():
        for number, name in enumerate(tree.names(), start=1):
            if wanted and not wanted(tree.alias, name):
                continue
            progress(number, None, f"reading the files of storage {tree.alias}")
            try:
                entry = tree.entry(name)
            except FileNotFoundError:
                continue
            yield FileEntry(storage=tree.alias, name=name, size=entry.size, sha256=entry.sha256)
