"""What a restore or a reset would do, found out without touching anything."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from django.db import connections

from backup_tasks import history, restore
from backup_tasks.conf import BackupSettings, backup_settings
from backup_tasks.engines import engine_for
from backup_tasks.errors import KeyMissing
from backup_tasks.files import project_trees
from backup_tasks.rows.dump import count_rows
from backup_tasks.rows.scope import full_scope, label


def plan_restore(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return {"package", "created_at", "models": {model: {"now", "then"}}, "files": {"now",
    "then"}, "migrations_to_run", "added": {model: why}, "left_as_they_are", "warnings",
    "safety_backup", "undo_days"}.

    Without a package in the params it is the plan of a reset, whose figures afterwards are what the
    project's seed makes (`then` is None).

    The package is read and checked to its last byte. Raises what the restore itself would raise:
    PackageNotFound, PackageDamaged, SignatureInvalid, KeyMissing, DoesNotFit.
    """
    settings = backup_settings()
    now = live_counts(settings)
    plan: dict[str, Any] = {
        "safety_backup": bool(params.get("safety", True)),
        "undo_days": settings.undo_for.days,
        "warnings": [],
    }
    files_now = sum(1 for tree in project_trees() for _ in tree.names())
    if "package" not in params:
        models = {name: {"now": count, "then": None} for name, count in now.items()}
        return plan | {"models": models, "files": {"now": files_now, "then": 0}}
    settings.workspace.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=settings.workspace) as scratch:
        opened = restore.bring(
            str(params["package"]),
            Path(scratch),
            allow_unsigned=bool(params.get("allow_unsigned")),
        )
        manifest = restore.check_contents(opened, Path(scratch), params, lambda *_: None)
    if manifest is None:
        raise KeyMissing(
            "the package is encrypted, and there is no identity to open it with",
            obj=opened.name,
            hint="Name the file of the age identity with --identity.",
        )
    selected = restore.selected(manifest, params)
    manifest = selected.manifest
    history.refuse_misfit(manifest, settings)
    older = history.missing_migrations(manifest, settings)
    return plan | {
        "package": opened.name,
        "created_at": manifest.created_at,
        "models": {
            entry.label: {"now": now.get(entry.label, 0), "then": entry.count}
            for entry in manifest.models
        },
        "files": {"now": files_now, "then": restore.expected_files(manifest)},
        "migrations_to_run": older,
        "added": dict(selected.added),
        "left_as_they_are": sorted(now.keys() - {entry.label for entry in manifest.models}),
        "warnings": list(manifest.warnings),
    }


def live_counts(settings: BackupSettings) -> dict[str, int]:
    """Return how many rows each model has, all counted at one moment."""
    with engine_for(settings.database).snapshot():
        connection = connections[settings.database]
        return {
            label(model): count_rows(connection, model._meta.db_table)
            for model in full_scope(settings).included
        }
