"""The dry run of a merge: find out what it would do, and remove staging."""

from __future__ import annotations

from typing import Any

from backup_tasks.merge.staged_merge import StagedMerge
from backup_tasks.restore.run_folder import Ask, held_folders
from backup_tasks.steps import Work


def rehearse(work: Work) -> dict[str, Any]:
    """Return {"merged": False, "plan": …, "warnings"}, see `merge.merge.Plan`."""
    staged = StagedMerge(work.run_id, work.workspace / "in", work.params, work.progress)
    with held_folders(staged.trees, work.run_id, Ask(work.holds)) as folders:
        plan = staged.rehearse(folders)
        for folder in folders:
            folder.remove()
    return {"merged": False, "plan": plan, "warnings": work.discard_staging()}
