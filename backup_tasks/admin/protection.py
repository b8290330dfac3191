"""What protects the system now: the last good package and the last proven one, above the lists."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.core.files.storage import FileSystemStorage
from django.db.models import Max

from backup_tasks.admin.display import ago
from backup_tasks.models import Package
from backup_tasks.status.packages import is_there
from backup_tasks.storage import last_good
from backup_tasks.storage.file_storages import storage_for
from backup_tasks.storage.last_good import Candidate


def protection() -> dict[str, Any]:
    """Return the last good and the last proven package, and how old they are.

    The index says what there is; of stores that are folders here, whether it is still there. Others
    are not asked for a page: `seen` says when they were last read.
    """
    rows = {row.name: row for row in Package.objects.all()}
    there = [each for each in last_good.of_rows(rows.values()) if is_there(each)]
    good, proven = last_good.newest(there), last_good.last_proven(there)
    return {
        "good": good and rows[good.name],
        "good_age": ago(good.created_at) if good else "",
        "proven": proven and rows[proven.name],
        "proven_age": ago(proven.standing.drilled_at) if proven else "",
        "seen": ago(_seen(there)) if _seen(there) else "",
    }


def _seen(candidates: Iterable[Candidate]) -> Any:
    far = {
        each.name
        for each in candidates
        if not isinstance(storage_for(each.store), FileSystemStorage)
    }
    return Package.objects.filter(name__in=far).aggregate(last=Max("seen_at"))["last"]
