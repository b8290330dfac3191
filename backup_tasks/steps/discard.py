"""Rehearse the promote at the end of a drill, and remove staging."""

from __future__ import annotations

from functools import partial
from typing import Any

from backup_tasks.engines import engine_for
from backup_tasks.errors import DoesNotFit
from backup_tasks.evidence import certificates
from backup_tasks.models import Run
from backup_tasks.package.names import in_database
from backup_tasks.restore import after_commit, recorded_verdicts, structure
from backup_tasks.restore.contents import unpacked_manifest
from backup_tasks.restore.rehearsal import rehearse
from backup_tasks.restore.run_folder import Ask, held_folders, with_folder
from backup_tasks.steps import Work
from backup_tasks.storage.file_storages import project_trees


def discard(work: Work) -> dict[str, Any]:
    """Return {"discarded": schema, "warnings"}, and of a drill "certificate", "certificate_in".

    A promote is rehearsed first. What it would refuse fails the run, which can be resumed; the
    package stays proven. What can't be removed is a warning.
    """
    warnings: list[str] = []
    parts = work.each_database()
    for part in parts:
        warnings += [in_database(part.alias, line) for line in _rehearse(part)]
    warnings += work.discard_staging()
    engine = engine_for(work.settings.database)
    schema = engine.schema_name("staging", work.run_id)
    after_commit.or_warning(
        "removing the staged files", partial(_remove_files, work), None, warnings, done=_done(work)
    )
    done: dict[str, Any] = {"discarded": schema, "warnings": warnings}
    if work.kind == Run.Kind.DRILL:
        manifest = unpacked_manifest(work.workspace / "in", work.params)
        written = certificates.of_drill(work.run_id, manifest, work.results)
        done |= {**written, "warnings": [*warnings, *written["warnings"]]}
    return done


def _rehearse(work: Work) -> list[str]:
    engine = engine_for(work.settings.database)
    schema = engine.schema_name("staging", work.run_id)
    if schema not in engine.schemas():  # an earlier attempt has removed it
        return []
    models = work.replaced_models()
    tables = [model._meta.db_table for model in models]
    work.progress(0, None, "rehearsing the promote")
    try:
        structure.make_like_live(engine, schema, tables, work.results, work.params)
        return rehearse(work.run_id, models, work.params, work.settings)
    except DoesNotFit as error:
        told = f"{error.hint} A restore would be refused like this; {_done(work)}."
        raise DoesNotFit(error.what, obj=error.obj, hint=told) from error


def _done(work: Work) -> str:
    """Return what has succeeded before this step."""
    proven = ", and is proven" if recorded_verdicts.is_whole(work) else ""
    return f"the package was restored into staging and validated{proven}"


def _remove_files(work: Work) -> None:
    with held_folders(
        with_folder(project_trees(), work.run_id), work.run_id, Ask(work.holds)
    ) as folders:
        for folder in folders:
            folder.remove()
