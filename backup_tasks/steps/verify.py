"""Read a package back from its store, and check it."""

from __future__ import annotations

import socket
from typing import Any

from backup_tasks.backup import completeness, half_replaced
from backup_tasks.errors import HandoverChanged, PackageNotFound
from backup_tasks.models import Run
from backup_tasks.restore import open_package, recorded_verdicts
from backup_tasks.restore.contents import expected_results
from backup_tasks.steps import Work


@recorded_verdicts.records_verdict("contents")
def verify(work: Work) -> dict[str, Any]:
    """Return {"package", "sha256", "chosen", "checked", "expected": {model: rows},
    "expected_files", "warnings"}.

    `checked` is "contents" if every row and file was compared with the manifest, or "bytes" if the
    worker can't decrypt the package and compared it with the sidecar only. In a cycle the package
    is unpacked too, for the steps that load it.

    After that, raises HalfReplaced or FilesMissing if the run's own package is incomplete.
    """
    opened = _opened(work)
    report = _checked(work, opened)
    if missing := work.results.get("pack", {}).get("incomplete"):
        mixed = half_replaced.error(opened.name, missing)
        raise mixed or completeness.files_missing(opened.name, missing)
    return report


def _opened(work: Work) -> open_package.Opened:
    own = str(work.results.get("pack", {}).get("package", ""))
    try:
        return open_package.fetch(
            own or str(work.params.get("package", "")),
            work.workspace / "package",
            params=work.params,
            own=bool(own),
            reads=work.reads,
        )
    except PackageNotFound as error:
        if not own:
            raise
        where = work.hosts.get("pack", "another host")
        raise HandoverChanged(
            f"{where} has published the package, and {socket.gethostname()} does not find it",
            obj=own,
            hint="The stores (BACKUP['STORES'], or the path of --output) must be the same for all "
            "workers: a folder that they share, or S3.",
        ) from error


def _checked(work: Work, opened: open_package.Opened) -> dict[str, Any]:
    report: dict[str, Any] = {**opened.facts(), "checked": "contents"}
    if work.kind == Run.Kind.CYCLE:
        manifest = open_package.unpack_into(
            work.workspace / "in", opened, work.params, work.progress
        )
    else:
        scratch = work.workspace / "package"
        found = open_package.check_contents(opened, scratch, work.params, work.progress)
        if found is None:
            recorded_verdicts.passed(work, "bytes", opened.sha256)
            return report | {"checked": "bytes"}
        manifest = found
    recorded_verdicts.passed(work, "contents", opened.sha256)
    return report | expected_results(manifest)
