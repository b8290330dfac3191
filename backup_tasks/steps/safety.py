"""Back up live before it is replaced."""

from __future__ import annotations

from typing import Any

from backup_tasks import backup, catalog, restore
from backup_tasks.steps import Work


def safety(work: Work) -> dict[str, Any]:
    """Return {"package", "size", "sha256", "counts", "exact", "files"}: a verified package of live.

    Whatever goes wrong here stops the run: nothing destructive happens without it (F9).
    """
    folder = work.workspace / "safety"
    params = {"type": "full", "label": "safety"}
    manifest = backup.dump(folder, params=params, progress=work.progress)
    name, written = backup.pack(folder, params=params, progress=work.progress)
    opened = restore.bring(name, folder / "package", allow_unsigned=True)
    if restore.check_contents(opened, folder, work.params, work.progress):
        catalog.mark_verified(name)
    return {
        "package": name,
        "size": written.size,
        "sha256": written.sha256,
        "counts": {entry.label: entry.count for entry in manifest.models},
        "exact": {entry.label: entry.exact for entry in manifest.models},
        "files": opened.sidecar.totals.files if opened.sidecar else None,
    }
