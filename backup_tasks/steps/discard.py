"""Remove staging at the end of a drill."""

from __future__ import annotations

from typing import Any

from backup_tasks.conf import backup_settings
from backup_tasks.engines import engine_for
from backup_tasks.restore import structure
from backup_tasks.restore.rehearsal import refuse_unfit, replaced_models
from backup_tasks.restore.run_folder import Ask, held_folders, with_folder
from backup_tasks.steps import Work
from backup_tasks.storage.file_storages import project_trees


def discard(work: Work) -> dict[str, Any]:
    """Return {"discarded": schema, "warnings"}.

    A promote is rehearsed first. What it would refuse fails the run, which can be resumed.
    """
    settings = backup_settings()
    engine = engine_for(settings.database)
    schema = engine.schema_name("staging", work.run_id)
    if schema in engine.schemas():  # an earlier attempt may have removed it
        package = work.workspace / "in"
        models = replaced_models(work.kind, package, work.params)
        tables = [model._meta.db_table for model in models]
        structure.make_like_live(engine, schema, tables, work.results)
        refuse_unfit(work.kind, package, work.params, schema)
    left = engine.discard(schema)
    with held_folders(
        with_folder(project_trees(), work.run_id), work.run_id, Ask(work.holds)
    ) as folders:
        for folder in folders:
            folder.remove()
    return {"discarded": schema, "warnings": left}
