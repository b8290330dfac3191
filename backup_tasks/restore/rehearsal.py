"""The rehearsal of a promote: raises what the promote would refuse, and changes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from backup_tasks.conf import backup_settings
from backup_tasks.engines import engine_for
from backup_tasks.models import Run
from backup_tasks.restore import migration_compatibility
from backup_tasks.restore.contents import unpacked_manifest
from backup_tasks.rows.natural_keys import Model
from backup_tasks.rows.scope import full_scope


def replaced_models(kind: str, package: Path, params: Mapping[str, Any]) -> list[Model]:
    """Return the models whose tables a promote of the run replaces: all, or the package's."""
    settings = backup_settings()
    if kind == Run.Kind.REINIT:
        return list(full_scope(settings).included)
    return migration_compatibility.models_of(unpacked_manifest(package, params), settings)


def refuse_unfit(
    kind: str, package: Path, params: Mapping[str, Any], schema: str | None = None
) -> None:
    """Raise what a promote of the run would refuse, of live and, if given, of the staging schema.

    A merge replaces no table, so nothing is refused.
    """
    if params.get("mode") == "merge":
        return
    if models := replaced_models(kind, package, params):
        engine_for(backup_settings().database).rehearse_promote(
            [model._meta.db_table for model in models],
            apps=sorted({model._meta.app_label for model in models}),
            schema=schema,
        )
