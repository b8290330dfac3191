"""Count the rows and files of live, before anything else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import DatabaseError, InterfaceError, connections

from backup_tasks.backup.contents import scope_of
from backup_tasks.backup.options import PackageOptions, package_options
from backup_tasks.conf import BackupSettings, backup_settings
from backup_tasks.engines import Engine, engine_for
from backup_tasks.error_classification import explain
from backup_tasks.errors import BackupError, Misconfigured
from backup_tasks.models import Run
from backup_tasks.package.names import in_database
from backup_tasks.restore import publications
from backup_tasks.rows.databases import (
    each_database,
    further_alias,
    left_out,
    refuse_one_database_twice,
)
from backup_tasks.rows.dump import count_rows
from backup_tasks.rows.installed import candidates
from backup_tasks.rows.scope import full_scope, label
from backup_tasks.rows.selection import ModelFilter, Selection
from backup_tasks.steps import Work
from backup_tasks.storage.file_storages import perishable, project_trees


def snapshot(work: Work) -> dict[str, Any]:
    """Return {"counts": {model: rows}, "files": number, "storages": {alias: files}, "added":
    {model: why}, "warnings"}.

    All models of a database are counted in one snapshot. `added` is what the closure adds to the
    selection. This step comes first, so it also refuses options that contradict each other.
    """
    settings = backup_settings()
    if work.kind in (Run.Kind.BACKUP, Run.Kind.CYCLE):
        _refuse_output(package_options(work.params, settings))
    refuse_one_database_twice(settings)
    counts: dict[str, int] = {}
    added: dict[str, str] = {}
    warnings: list[str] = []
    for each in each_database(settings):
        counted, selection, refusals = _count(work, each)
        counts |= counted
        added |= selection.added
        warnings += refusals
    storages = {tree.alias: sum(1 for _ in tree.names()) for tree in project_trees()}
    if work.kind in (Run.Kind.BACKUP, Run.Kind.CYCLE):
        warnings += left_out(settings, [*candidates(settings)])
    if work.kind == Run.Kind.BACKUP:
        warnings += perishable()
    return {
        "counts": counts,
        "files": sum(storages.values()),
        "storages": storages,
        "added": added,
        "warnings": warnings,
    }


def _count(work: Work, settings: BackupSettings) -> tuple[dict[str, int], Selection, list[str]]:
    """Count the rows of one database. Return the counts, the selection, and the warnings."""
    counts = {}
    engine = engine_for(settings.database)
    alias = further_alias(settings)
    with engine.snapshot():
        selection = _selection_of(work, settings)
        models = selection.scope.included
        engine.refuse_hidden_rows([model._meta.db_table for model in models])
        for number, model in enumerate(models, start=1):
            name, table = in_database(alias, label(model)), model._meta.db_table
            work.progress(number, len(models), name)
            counts[name] = count_rows(connections[settings.database], table)
    refusals = _restore_refusals(engine, [model._meta.db_table for model in models])
    return counts, selection, [in_database(alias, line) for line in refusals]


def _restore_refusals(engine: Engine, tables: Sequence[str]) -> list[str]:
    """Return a warning if a restore would be refused here, so that it is known at the backup."""
    refused = "a drill or a restore"
    try:
        engine.rehearse_promote(tables)
        refused = "a restore"
        publications.refuse_unless_asked(engine, tables, {})
    except (BackupError, DatabaseError, InterfaceError) as error:
        return [f"{refused} would be refused here: {explain(error)}"]
    return []


def _selection_of(work: Work, settings: BackupSettings) -> Selection:
    """Return the selection of a backup, or all models."""
    if work.kind == Run.Kind.BACKUP:
        selection = scope_of(work.params, settings)
        if ModelFilter.by(work.params):
            return selection
    return Selection(scope=full_scope(settings), added={})


def _refuse_output(options: PackageOptions) -> None:
    """Refuse a wrong --output now, not after hours of work."""
    if options.output and options.output.exists():
        raise Misconfigured(
            "a file of that name is there already", obj=str(options.output), hint="Choose another."
        )
    if options.output and not options.output.parent.is_dir():
        folder = str(options.output.parent)
        raise Misconfigured("there is no such folder", obj=folder, hint="Make it first.")
