"""The files of a package: which there are, and which should be there."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from backup_tasks.backup import completeness, referenced_files
from backup_tasks.backup.unwanted_files import UnwantedFiles
from backup_tasks.conf import backup_settings
from backup_tasks.package.index import FileEntry, write_index
from backup_tasks.package.manifest import Manifest
from backup_tasks.package.names import INDEX
from backup_tasks.printable import printable
from backup_tasks.progress import Progress
from backup_tasks.storage.file_storages import project_trees
from backup_tasks.storage.folder_scan import Found

_NAMED = 10


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
    left_out, unwanted = _LeftOut(), UnwantedFiles()
    with referenced_files.of(folder) as referred:
        files = _files(progress, referred if partial else None, left_out, unwanted)
        found = write_index(files, folder / INDEX)
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
        warnings=(
            *manifest.warnings,
            *compared.warnings,
            *left_out.warnings(),
            *unwanted.warnings(),
        ),
        incomplete="" if accepted else missing,
        accepted=missing if accepted else "",
    )
    return manifest, compared.figures


class _LeftOut:
    """What is in the storages and is not a file. Keeps some names for the warning."""

    def __init__(self) -> None:
        self._numbers: Counter[str] = Counter()
        self._named: dict[str, list[str]] = defaultdict(list)

    def add(self, alias: str, found: Found) -> None:
        self._numbers[alias] += 1
        if len(self._named[alias]) < _NAMED:
            self._named[alias].append(f"{printable(found.name)} ({found.left_out})")

    def warnings(self) -> Iterator[str]:
        for alias, number in self._numbers.items():
            names = ", ".join(self._named[alias])
            more = f" and {number - _NAMED} more" if number > _NAMED else ""
            yield f"storage {alias}: not in the package: {names}{more}"


def _files(
    progress: Progress,
    wanted: Callable[[str, str], bool] | None,
    left_out: _LeftOut,
    unwanted: UnwantedFiles,
) -> Iterator[FileEntry]:
    """Yield every file of the project, or each that is wanted, by storage and name. One that is
    deleted before it is read is left out (P13)."""
    for tree in project_trees():
        for number, found in enumerate(tree.found(), start=1):
            if wanted and not wanted(tree.alias, found.name):
                continue
            if found.left_out:
                left_out.add(tree.alias, found)
                continue
            progress(number, None, f"reading the files of storage {tree.alias}")
            try:
                entry = tree.entry(found.name)
            except FileNotFoundError:
                continue
            unwanted.look_at(tree, found.name)
            yield FileEntry(
                storage=tree.alias,
                name=found.name,
                size=entry.size,
                sha256=entry.sha256,
                mode=f"{entry.access.mode:04o}" if entry.access else "",
                owner=":".join(map(str, entry.access.owner or ())) if entry.access else "",
            )
