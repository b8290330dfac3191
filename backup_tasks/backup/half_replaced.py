"""Whether live was half replaced while a package was made of it.

A restore replaces several databases one after the other, and files after rows, and no snapshot
covers them. A backup that is made meanwhile, or after such a run has died, may hold a part of the
old state and a part of the new one: it is no backup of either.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from backup_tasks.backup.contents import holds_files
from backup_tasks.conf import backup_settings
from backup_tasks.engines import engine_for
from backup_tasks.errors import HalfReplaced
from backup_tasks.ledger import replaced
from backup_tasks.models import UndoPoint
from backup_tasks.package.manifest import Manifest
from backup_tasks.package.streams import written_whole
from backup_tasks.rows.databases import each_database

_NOTE = "replaced.json"
_SAID = "live was half replaced by "
"""How the text in a manifest begins."""


def begin(folder: Path, params: Mapping[str, Any]) -> None:
    """Note which runs have replaced live. Call it before anything is read."""
    with written_whole(folder / _NOTE) as file:
        file.write(json.dumps(_runs(params)).encode())


def marked(
    manifest: Manifest, folder: Path, params: Mapping[str, Any], *, accept: bool
) -> Manifest:
    """Return the manifest, which says so if live was half replaced since `begin`: `incomplete`, or
    `accepted` if the caller accepts that."""
    if not (runs := sorted(_since(folder, params))):
        return manifest
    said = f"{_SAID}{', '.join(runs)} while it was read"
    if accept:
        return replace(manifest, accepted="; ".join(filter(None, [said, manifest.accepted])))
    return replace(manifest, incomplete="; ".join(filter(None, [said, manifest.incomplete])))


def error(package: str, incomplete: str) -> HalfReplaced | None:
    """Return the error of a backup whose package is incomplete for this reason; None if it is for
    another one."""
    if not incomplete.startswith(_SAID):
        return None
    runs = incomplete.removeprefix(_SAID).partition(" while ")[0]
    return HalfReplaced(
        incomplete,
        obj=package,
        hint="The package is kept, marked incomplete. Once the run has ended, back up again. If it "
        f"has failed: `resume_run {runs.partition(', ')[0]}` finishes it, `undo_restore --confirm` "
        "takes it back.",
    )


def _since(folder: Path, params: Mapping[str, Any]) -> Iterator[str]:
    """Yield the runs that had replaced live by half at `begin`, or have replaced it since."""
    before: dict[str, bool] = json.loads((folder / _NOTE).read_bytes())
    for run in {**before, **_runs(params)}:
        if before.get(run, True):
            yield run


def _runs(params: Mapping[str, Any]) -> dict[str, bool]:
    """Return the runs that have replaced what such a package holds, except what one transaction
    replaced and one snapshot reads; and whether each has replaced only a part of it yet."""
    files, several = holds_files(params), len(each_database(backup_settings())) > 1
    found = {}
    for point in UndoPoint.objects.only("storages", "databases", "files_done", "undone_at"):
        parts = []
        if files and point.storages != []:  # None: not recorded
            parts.append(point.files_done)
        if several and point.databases:
            parts.append(all(entry["done"] for entry in point.databases))
        if parts:
            found[point.pk] = not all(parts) and not point.files_done and not point.undone_at
    if files or several:
        doubtful = replaced.runs_in_doubt(engine_for(backup_settings().database))
        found |= dict.fromkeys(doubtful, True)
    return found
