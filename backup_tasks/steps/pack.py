"""Compress, encrypt, sign and publish."""

from __future__ import annotations

from typing import Any

from backup_tasks.backup.dump import pack_and_publish
from backup_tasks.steps import Work


def pack(work: Work) -> dict[str, Any]:
    """Return {"package": name or path, "size": bytes, "sha256": …} of the published package."""
    name, written = pack_and_publish(
        work.workspace / "out", params=work.params, progress=work.progress
    )
    return {"package": name, "size": written.size, "sha256": written.sha256}
