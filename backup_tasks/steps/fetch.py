"""Fetch the package, check its integrity and compatibility, and unpack it."""

from __future__ import annotations

from typing import Any

from backup_tasks.backup.options import package_options
from backup_tasks.conf import backup_settings
from backup_tasks.restore import migration_compatibility, open_package, recorded_verdicts
from backup_tasks.restore.contents import expected_results, require_room, select
from backup_tasks.restore.named_objects import reduce_to_objects
from backup_tasks.steps import Work


@recorded_verdicts.records_verdict("contents")
def fetch(work: Work) -> dict[str, Any]:
    """Return {"package", "sha256", "size", "signed_by", "chosen", "expected": {model: rows},
    "expected_files", "added", "warnings"}.

    Raises PackageNotFound, PackageDamaged, SignatureInvalid, KeyMissing, NotEncrypted, DoesNotFit,
    StorageRefused, before anything is changed (F8).
    """
    if work.params.get("safety"):
        package_options({}, backup_settings())  # raises what the safety backup would
    folder = work.workspace / "in"
    opened = open_package.fetch(
        str(work.params.get("package", "")),
        work.workspace / "package",
        params=work.params,
        reads=work.reads,
    )
    whole = open_package.unpack_into(folder, opened, work.params, work.progress)
    whole = reduce_to_objects(folder, whole, work.params)
    selected = select(whole, work.params)
    migration_compatibility.refuse_misfit(selected.manifest, backup_settings())
    require_room(folder, selected.manifest)
    return {
        **opened.facts(),
        "added": dict(selected.added),
        **expected_results(selected.manifest, folder),
    }
