"""Dumps the rows of a backup, and starts the manifest of its package."""

from __future__ import annotations

import platform
import secrets
import shutil
import socket
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import django
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.recorder import MigrationRecorder

import backup_tasks
from backup_tasks.backup import contents, referenced_files
from backup_tasks.backup.options import package_options
from backup_tasks.backup.publish import withdraw
from backup_tasks.conf import backup_settings
from backup_tasks.engines import engine_for
from backup_tasks.package.entries import Exclusion
from backup_tasks.package.manifest import Manifest
from backup_tasks.package.names import MANIFEST
from backup_tasks.package.streams import written_whole
from backup_tasks.progress import Progress
from backup_tasks.rows.line_format import project_zone
from backup_tasks.rows.members import write_members
from backup_tasks.rows.scope import full_scope


def dump_rows(folder: Path, *, params: Mapping[str, Any], progress: Progress) -> Manifest:
    """Write the rows, as one consistent snapshot has them, and a manifest without files.

    `params`: type, label, include, exclude, include_users. Raises what `package_options` raises,
    DumpFailed, DoesNotFit.
    """
    settings = backup_settings()
    package_options(params, settings)
    withdraw(folder)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    engine = engine_for(settings.database)
    scope = contents.scope_of(params, settings).scope
    with engine.snapshot([model._meta.db_table for model in scope.included]):
        connection = connections[settings.database]
        engine.refuse_hidden_rows([model._meta.db_table for model in scope.included])
        created_at = datetime.now(UTC)
        members = write_members(
            engine,
            connection,
            scope,
            folder,
            natural_keys=settings.natural_keys,
            progress=lambda rows, note: progress(rows, None, note),
        )
        warnings = members.warnings
        if contents.holds_files(params):
            # A package of files holds no rows; which files it should hold, they say all the same.
            whole = full_scope(settings) if params.get("type") == "files" else scope
            warnings += referenced_files.write(connection, whole.included, folder)
        migrations = tuple(sorted(MigrationRecorder(connection).applied_migrations()))
        database = _database(connection, engine.isolation)
        counters = engine.last_numbers(scope.included)
    manifest = Manifest(
        id=secrets.token_hex(8),
        label=str(params.get("label") or ""),
        type=contents.type_of(params),
        created_at=created_at.isoformat(),
        host=socket.gethostname(),
        project=settings.project,
        versions={
            "python": platform.python_version(),
            "django": django.get_version(),
            "backup_tasks": backup_tasks.__version__,
        },
        database=database,
        migrations=migrations,
        models=members.entries,
        excluded=tuple(Exclusion(label=name, reason=why) for name, why in scope.excluded),
        files=None,
        warnings=warnings,
        counters=counters,
        sums=members.sums,
    )
    with written_whole(folder / MANIFEST) as file:
        file.write(manifest.to_json())
    return manifest


def _database(connection: BaseDatabaseWrapper, isolation: str) -> dict[str, str]:
    version = ".".join(map(str, connection.get_database_version()))
    database = {"vendor": connection.vendor, "version": version, "isolation": isolation}
    return database | ({"time_zone": zone} if (zone := project_zone()) else {})
