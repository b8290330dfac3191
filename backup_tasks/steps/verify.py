"""Read a package back from where it was published, and check it."""

from __future__ import annotations

from typing import Any

from backup_tasks.models import Run
from backup_tasks.restore.contents import check_contents, expected_results, open_into
from backup_tasks.restore.open import copy_here
from backup_tasks.steps import Work
from backup_tasks.storage import catalogue


def verify(work: Work) -> dict[str, Any]:
    """Return {"package", "checked", "expected": {model: rows}, "expected_files", "warnings"}.

    `checked` says what was proven: "contents" (every row and file against the manifest) or, for an
    encrypted package on a worker that can't open it, "bytes" (all of them, against the sidecar). In
    a cycle the package is unpacked too, for the steps that load it.
    """
    name = str(work.results.get("pack", {}).get("package") or work.params.get("package", ""))
    own = "pack" in work.results
    opened = copy_here(
        name,
        work.workspace / "package",
        allow_unsigned=own or bool(work.params.get("allow_unsigned")),
    )
    report: dict[str, Any] = {"package": opened.name, "checked": "contents"}
    if work.kind == Run.Kind.CYCLE:
        manifest = open_into(work.workspace / "in", opened, work.params, work.progress)
    else:
        scratch = work.workspace / "package"
        found = check_contents(opened, scratch, work.params, work.progress)
        if found is None:
            return report | {"checked": "bytes"}
        manifest = found
    catalogue.mark_verified(opened.name)
    return report | expected_results(manifest)
