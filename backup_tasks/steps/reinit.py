"""Make the staging schema: an empty copy of the tables."""

from __future__ import annotations

from typing import Any

from django.core.management import call_command
from django.db import connections
from django.utils.module_loading import import_string

from backup_tasks.conf import BackupSettings
from backup_tasks.engines import Engine, engine_for
from backup_tasks.models import Run
from backup_tasks.restore import migration_compatibility, structure
from backup_tasks.restore.rehearsal import refuse_unfit
from backup_tasks.rows.dump import count_rows
from backup_tasks.rows.scope import full_scope, label
from backup_tasks.steps import Work, in_each_database


@in_each_database
def reinit(work: Work) -> dict[str, Any]:
    """Return {"counts": {model: rows}, "files": 0, "schema", "made_by", "warnings"}.

    A promote is rehearsed before anything is built.

    If the package has live's migrations, live's tables are cloned, with what an administrator added
    to them; this takes seconds. If it is older, its own migrations run. Otherwise all migrations
    run, also for a reset and a cycle, which need the rows that migrations create. What an earlier
    attempt left is dropped first.
    """
    settings = work.settings
    engine = engine_for(settings.database)
    schema = engine.schema_name("staging", work.run_id)
    refuse_unfit(work.replaced_models(), work.params, settings)
    made_by, warnings = _make(work, settings, engine, schema)
    with engine.at(schema):
        counts = {
            label(model): count_rows(connections[settings.database], model._meta.db_table)
            for model in full_scope(settings).included
        }
    return {
        "counts": counts,
        "files": 0,
        "schema": schema,
        "made_by": made_by,
        "warnings": warnings,
    }


def _make(
    work: Work, settings: BackupSettings, engine: Engine, schema: str
) -> tuple[str, list[str]]:
    if work.kind in (Run.Kind.RESTORE, Run.Kind.DRILL):
        manifest = work.manifest()
        if migration_compatibility.has_live_migrations(manifest, settings) and not _is_rebuild(
            work
        ):
            work.progress(0, None, "cloning the structure")
            tables = structure.all_tables(connections[settings.database])
            if unequal := engine.clone(schema, tables):
                raise structure.can_not_be_cloned(settings.database, unequal)
            return structure.CLONE, []
        if migration_compatibility.missing_migrations(manifest):
            work.progress(0, None, "migrating staging to the package's migrations")
            engine.create(schema)
            with engine.at(schema):
                migration_compatibility.build(manifest, settings)
            return "migrations of the package", []
    work.progress(0, None, "migrating staging")
    engine.create(schema)
    with engine.at(schema):
        _migrate(settings)
    return "migrations", []


def _is_rebuild(work: Work) -> bool:
    return bool(work.params.get("rebuild"))


def _migrate(settings: BackupSettings) -> None:
    """Run all migrations and the project's seed. For them, and for signal handlers, the alias leads
    to staging."""
    call_command(
        "migrate", database=settings.database, interactive=False, verbosity=0, run_syncdb=True
    )
    if settings.seed:
        import_string(settings.seed)(settings.database)
