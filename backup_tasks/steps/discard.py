"""Throw staging away: the proof was all that was wanted."""

from __future__ import annotations

from typing import Any

from backup_tasks import catalog, placement
from backup_tasks.conf import backup_settings
from backup_tasks.engines import engine_for
from backup_tasks.files import project_trees
from backup_tasks.steps import Work


def discard(work: Work) -> dict[str, Any]:
    """Return {"discarded": place}. The package is marked as drilled: it was restored and proven."""
    settings = backup_settings()
    engine = engine_for(settings.database)
    place = engine.place("staging", work.run_id)
    engine.drop(place)
    for tree in project_trees():
        placement.forget(tree, work.run_id)
    source = work.results.get("fetch") or work.results.get("verify", {})
    catalog.mark_drilled(str(source.get("package", "")))
    return {"discarded": place}
