"""Merge staging into live, in one transaction."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

from backup_tasks import cleanup, moments
from backup_tasks.conf import backup_settings
from backup_tasks.engines import engine_for
from backup_tasks.merge.staged_merge import StagedMerge
from backup_tasks.models import UndoPoint
from backup_tasks.package.streams import written_whole
from backup_tasks.restore import file_swap, undo_plan, undo_points
from backup_tasks.restore.run_folder import Ask, held_folders
from backup_tasks.steps import Work


def merge(work: Work) -> dict[str, Any]:
    """Return {"merged": True, "plan": …, "warnings"}, see `merge.merge.Plan`.

    The transaction writes an UndoPoint without a schema, because a merge keeps nothing for an undo.
    It tells a second attempt that the rows are merged.
    """
    settings = backup_settings()
    engine = engine_for(settings.database)
    plan_file = work.workspace / "merged.json"
    staged = StagedMerge(work.run_id, work.workspace / "in", work.params, work.progress)
    ask = Ask(work.may_write_files)
    is_merged = UndoPoint.objects.filter(run_id=work.run_id).exists()
    settled = cleanup.settle_others(work.run_id, ask)

    def record(plan: dict[str, Any]) -> None:
        work.still_mine()
        with written_whole(plan_file) as file:
            file.write(json.dumps(plan).encode())
        undo_points.supersede_unfinished(engine, work.run_id)
        UndoPoint.objects.create(
            run_id=work.run_id,
            schema="",
            tables=staged.tables,
            storages=undo_plan.planned(folders),
            expires_at=moments.now() + settings.undo_for,
        )

    with held_folders(staged.trees, work.run_id, ask) as folders:
        if not is_merged:
            staged.merge(folders, record, partial(work.certainly_changed_no_rows, engine))
        point = UndoPoint.objects.get(pk=work.run_id)
        for folder in undo_plan.with_plan(folders, point):
            file_swap.replace_and_remove(folder)
        ask.now()
        UndoPoint.objects.filter(pk=work.run_id).update(files_done=True)
    left = work.discard_staging()
    plan = json.loads(plan_file.read_bytes())
    return {"merged": True, "plan": plan, "warnings": [*settled, *left]}
