"""Back up live before it is replaced."""

from __future__ import annotations

from typing import Any

from backup_tasks.backup.dump import dump_rows
from backup_tasks.backup.pack import pack_files
from backup_tasks.errors import PackageDamaged
from backup_tasks.restore import open_package, recorded_verdicts
from backup_tasks.steps import Work
from backup_tasks.storage import verdicts


def safety(work: Work) -> dict[str, Any]:
    """Return {"package", "size", "sha256", "counts", "exact", "files", "warnings"}: a verified
    package of live.

    Any failure here fails the run, because live is not replaced without it (F9).
    """
    folder = work.workspace / "safety"
    # Missing files and a live half replaced are accepted: the restore may be what mends them.
    params = {"type": "full", "label": "safety", "accept_missing_files": True}
    manifest = dump_rows(folder, params=params, progress=work.progress)
    packed = pack_files(folder, params=params, progress=work.progress, safety=True)
    name, written, missing = packed.name, packed.written, packed.manifest.accepted
    try:
        opened = open_package.fetch(name, folder / "package", params=work.params, own=True)
        read = open_package.check_contents(opened, folder, work.params, work.progress)
    except PackageDamaged as error:
        verdicts.failed(written.sha256, "contents", run=work.run_id, error=error)
        raise
    recorded_verdicts.passed(work, "contents" if read else "bytes", written.sha256)
    return {
        "package": name,
        "size": written.size,
        "sha256": written.sha256,
        "counts": manifest.counts,
        "exact": manifest.exact,
        "warnings": [f"safety backup: {missing}"] if missing else [],
        "files": opened.sidecar.totals.files if opened.sidecar else None,
    }
