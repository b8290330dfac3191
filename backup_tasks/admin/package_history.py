"""What became of a package: the runs that made, verified, drilled and restored it."""

from __future__ import annotations

from typing import Any

from django.db.models import Q

from backup_tasks.admin import certificates
from backup_tasks.admin.display import badge, duration, kind_of
from backup_tasks.models import Package, Run

_SHOWN = 30


def history_of(package: Package) -> list[dict[str, Any]]:
    """Return its runs, the newest first: what each was, how it ended and why, how long it took,
    and whether it wrote a certificate."""
    of_it = Q(package=package.name) | Q(package_sha256=package.sha256)
    runs = list(Run.objects.filter(of_it).defer("report").order_by("-created_at")[:_SHOWN])
    certified = certificates.by_run(runs)
    return [
        {
            "run": run,
            "kind": kind_of(run),
            "badge": badge(run.state),
            "took": duration(run.started_at, run.finished_at),
            "why": (run.error or {}).get("what", ""),
            "certificate": run.pk in certified,
        }
        for run in runs
    ]
