"""Compress, encrypt, sign and publish."""

from __future__ import annotations

from typing import Any

from backup_tasks.backup import completeness
from backup_tasks.backup.pack import pack_files
from backup_tasks.steps import Work


def pack(work: Work) -> dict[str, Any]:
    """Return {"package": name or path, "size": bytes, "sha256": …, "incomplete", "warnings"} of the
    published package, and {"storages": figures by alias} if it holds all files."""
    packed = pack_files(
        work.workspace / "out",
        params=work.params,
        progress=work.progress,
        counted=work.results.get("snapshot", {}).get("storages"),
    )
    result = {
        "package": packed.name,
        "size": packed.written.size,
        "sha256": packed.written.sha256,
        "incomplete": packed.manifest.incomplete,
        "warnings": list(completeness.warnings(packed.manifest)),
    }
    if packed.manifest.type in ("full", "files") and work.params.get("include_users") is not False:
        result["storages"] = packed.storages
    return result
