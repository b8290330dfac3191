"""Throw staging away: the proof was all that was wanted."""

from __future__ import annotations

from typing import Any

from backup_tasks.conf import backup_settings
from backup_tasks.engines import engine_for
from backup_tasks.restore.rehearsal import refuse_unfit
from backup_tasks.restore.run_folder import Ask, held, with_folder
from backup_tasks.steps import Work
from backup_tasks.storage.file_storages import project_trees


def discard(work: Work) -> dict[str, Any]:
    """Return {"discarded": place, "warnings"}.

    First a promote is rehearsed: what would refuse it refuses the run, which can be resumed.
    """
    settings = backup_settings()
    engine = engine_for(settings.database)
    schema = engine.schema_name("staging", work.run_id)
    refuse_unfit(work.kind, work.workspace / "in", work.params, schema)
    left = engine.discard(schema)
    with held(with_folder(project_trees(), work.run_id), work.run_id, Ask(work.holds)) as folders:
        for folder in folders:
            folder.remove()
    return {"discarded": schema, "warnings": left}
