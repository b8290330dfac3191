"""The rehearsal of a promote: raises what the promote would refuse, and does not change live."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from backup_tasks.conf import BackupSettings
from backup_tasks.engines import engine_for
from backup_tasks.package.manifest import Manifest
from backup_tasks.restore import migration_compatibility, publications
from backup_tasks.rows.natural_keys import Model
from backup_tasks.rows.scope import full_scope


def replaced_models(manifest: Manifest | None, settings: BackupSettings) -> list[Model]:
    """Return the models whose tables a promote of the run replaces in one database: all, without a
    manifest, or the package's."""
    if manifest is None:
        return list(full_scope(settings).included)
    return migration_compatibility.models_of(manifest, settings)


def refuse_unfit(
    models: Sequence[Model], params: Mapping[str, Any], settings: BackupSettings
) -> None:
    """Raise what a promote of the models would refuse because of live, before anything is built.

    A merge replaces no table, so nothing is refused.
    """
    if models and params.get("mode") != "merge":
        engine = engine_for(settings.database)
        tables = [model._meta.db_table for model in models]
        if params.get("promote", True):
            publications.refuse_unless_asked(engine, tables, params)
        engine.rehearse_promote(tables)


def rehearse(
    run_id: str, models: Sequence[Model], params: Mapping[str, Any], settings: BackupSettings
) -> list[str]:
    """Promote the models in the loaded staging of the run against an empty clone of live; return
    warnings.

    Raises what the promote of a restore would refuse.
    """
    if not models or params.get("mode") == "merge":
        return []
    engine = engine_for(settings.database)
    return engine.rehearse_swap(
        engine.schema_name("staging", run_id),
        tables=sorted(model._meta.db_table for model in models),
        apps=sorted({model._meta.app_label for model in models}),
        stand_in=engine.schema_name("rehearsal", run_id),
        keep=engine.schema_name("rehearsed", run_id),
    )
