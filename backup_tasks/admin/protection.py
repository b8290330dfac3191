"""What protects the system now: the last good package and the last proven one, above the lists."""

from __future__ import annotations

from typing import Any

from backup_tasks.admin.display import ago
from backup_tasks.status.packages import Looked, points_of


def protection(looked: Looked) -> dict[str, Any]:
    """Return the last good and the last proven package, of rows and of files where they differ, and
    how old they are. `looked`: `status.packages.in_index`."""
    points = points_of(looked)
    return {
        "points": [
            {
                "what": f" of the {point.what}" if len(points) > 1 else "",
                "good": point.good and looked.keys[point.good.store, point.good.name],
                "good_age": ago(point.good.created_at) if point.good else "",
                "proven": point.proven and looked.keys[point.proven.store, point.proven.name],
                "proven_age": ago(point.proven.proven_at) if point.proven else "",
            }
            for point in points
        ],
        "seen": ago(looked.read_at) if looked.read_at else "",
    }
