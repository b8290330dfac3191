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
    """Return {"counts": {model: rows}, "files": 0, "schema", "made_by", "like_live", "warnings"};
    `schema`: where a package is loaded; `like_live`: whether it has the structure of live.

    What of live would refuse a promote is found before anything is built.

    If the package has live's migrations, live's tables are cloned, with what an administrator added
    to them; this takes seconds. If it is older, its own migrations run. Otherwise all migrations
    run, also for a reset and a cycle, which need the rows that migrations and the seed make; a
    clone of live's tables takes the rows over. What an earlier attempt left is dropped first.
    """
    settings = work.settings
    engine = engine_for(settings.database)
    refuse_unfit(work.replaced_models(), work.params, settings)
    made = _make(work, settings, engine)
    with engine.at(structure.loaded_schema({"reinit": made})):
        counts = {
            label(model): count_rows(connections[settings.database], model._meta.db_table)
            for model in full_scope(settings).included
        }
    return {"counts": counts, "files": 0, "warnings": [], **made}


def _make(work: Work, settings: BackupSettings, engine: Engine) -> dict[str, Any]:
    staging = engine.schema_name("staging", work.run_id)
    reads_package = work.kind in (Run.Kind.RESTORE, Run.Kind.DRILL)
    manifest = work.manifest() if reads_package else None
    if (
        manifest is not None
        and migration_compatibility.has_live_migrations(manifest, settings)
        and not work.params.get("rebuild")
    ):
        work.progress(0, None, "cloning the structure")
        structure.clone(engine, staging, structure.all_tables(connections[settings.database]))
        return {"schema": staging, "made_by": "clone", "like_live": True}
    taken_over = structure.is_taken_over(engine, work.params, settings)
    built = engine.schema_name("migrated", work.run_id) if taken_over else staging
    engine.create(built)
    if manifest is not None and migration_compatibility.missing_migrations(manifest):
        work.progress(0, None, "migrating staging to the package's migrations")
        tables = structure.all_tables(connections[settings.database])
        with engine.at(built):
            migration_compatibility.build(manifest, settings, tables=tables)
        return {"schema": built, "made_by": "migrations of the package", "like_live": False}
    work.progress(0, None, "migrating staging")
    with engine.at(built):
        _migrate(settings)
    warnings: list[str] = []
    if taken_over:
        work.progress(0, None, "taking over the structure of live")
        warnings = structure.take_over(
            engine,
            built,
            staging,
            tables=structure.all_tables(connections[settings.database]),
            models=full_scope(settings).included,
        )
    return {
        "schema": staging,
        "made_by": "migrations",
        "like_live": taken_over,
        "warnings": warnings,
    }


def _migrate(settings: BackupSettings) -> None:
    """Run all migrations and the project's seed. For them, and for signal handlers, the alias leads
    to staging."""
    call_command(
        "migrate", database=settings.database, interactive=False, verbosity=0, run_syncdb=True
    )
    if settings.seed:
        import_string(settings.seed)(settings.database)
