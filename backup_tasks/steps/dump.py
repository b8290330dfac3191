"""Write the rows to the workspace."""

from __future__ import annotations

from typing import Any

from backup_tasks.backup.dump import dump_rows
from backup_tasks.steps import Work


def dump(work: Work) -> dict[str, Any]:
    """Return {"counts": {model: rows}, "warnings": […]} of the snapshot that was dumped."""
    manifest = dump_rows(work.workspace / "out", params=work.params, progress=work.progress)
    return {
        "counts": manifest.counts,
        "warnings": manifest.told,
    }
