"""The rehearsal of a promote: raises what the promote would refuse, and does not change live."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from backup_tasks.conf import backup_settings
from backup_tasks.engines import engine_for
from backup_tasks.models import Run
from backup_tasks.restore import migration_compatibility, publications
from backup_tasks.restore.contents import unpacked_manifest
from backup_tasks.rows.natural_keys import Model
from backup_tasks.rows.scope import full_scope


def replaced_models(kind: str, package: Path, params: Mapping[str, Any]) -> list[Model]:
    """Return the models whose tables a promote of the run replaces: all, or the package's."""
    settings = backup_settings()
    if kind == Run.Kind.REINIT:
        return list(full_scope(settings).included)
    return migration_compatibility.models_of(unpacked_manifest(package, params), settings)


def refuse_unfit(kind: str, package: Path, params: Mapping[str, Any]) -> None:
    """Raise what a promote of the run would refuse because of live, before anything is built.

    A merge replaces no table, so nothing is refused.
    """
    if models := _replaced_unless_merged(kind, package, params):
        engine = engine_for(backup_settings().database)
        tables = [model._meta.db_table for model in models]
        if params.get("promote", True):
            publications.refuse_unless_asked(engine, tables, params)
        engine.rehearse_promote(tables)


def rehearse(run_id: str, kind: str, package: Path, params: Mapping[str, Any]) -> list[str]:
    """Promote the loaded staging of the run against an empty clone of live; return warnings.

    Raises what the promote of a restore would refuse.
    """
    models = _replaced_unless_merged(kind, package, params)
    if not models:
        return []
    engine = engine_for(backup_settings().database)
    return engine.rehearse_swap(
        engine.schema_name("staging", run_id),
        tables=sorted(model._meta.db_table for model in models),
        apps=sorted({model._meta.app_label for model in models}),
        stand_in=engine.schema_name("rehearsal", run_id),
        keep=engine.schema_name("rehearsed", run_id),
    )


def _replaced_unless_merged(kind: str, package: Path, params: Mapping[str, Any]) -> list[Model]:
    return [] if params.get("mode") == "merge" else replaced_models(kind, package, params)
