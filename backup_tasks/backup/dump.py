"""Dumps the rows of a backup, and starts the manifest of its package."""

from __future__ import annotations

import platform
import secrets
import shutil
import socket
from collections.abc import Mapping
from contextlib import AbstractContextManager, ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import django
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.recorder import MigrationRecorder

import backup_tasks
from backup_tasks.backup import contents, half_replaced, referenced_files
from backup_tasks.backup.options import package_options
from backup_tasks.backup.publish import withdraw
from backup_tasks.conf import BackupSettings, backup_settings
from backup_tasks.engines import engine_for
from backup_tasks.package.entries import Exclusion
from backup_tasks.package.manifest import Contents, Manifest
from backup_tasks.package.names import MANIFEST, in_database
from backup_tasks.package.streams import written_whole
from backup_tasks.progress import Progress
from backup_tasks.rows.databases import each_database, further_alias
from backup_tasks.rows.line_format import clear_fields, project_zone
from backup_tasks.rows.members import write_members
from backup_tasks.rows.scope import full_scope


def dump_rows(folder: Path, *, params: Mapping[str, Any], progress: Progress) -> Manifest:
    """Write the rows, as one consistent snapshot has them, and a manifest without files. Of several
    databases each has its own snapshot; all begin before the first row is read.

    `params`: type, label, include, exclude, include_users. Raises what `package_options` raises,
    DumpFailed, DoesNotFit.
    """
    settings = backup_settings()
    package_options(params, settings)
    withdraw(folder)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    half_replaced.begin(folder, params)
    dumps = [_Dump(each, params, folder) for each in each_database(settings)]
    if contents.holds_files(params):
        referenced_files.begin(folder)
    with ExitStack() as snapshots:
        for dump in dumps:
            snapshots.enter_context(dump.snapshot())
        created_at = datetime.now(UTC)
        first, *others = [dump.contents(progress) for dump in dumps]
    if others:
        first["database"] = {**first["database"], "alias": settings.database}
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
        **first,
        files=None,
        warnings=tuple(line for dump in dumps for line in dump.warnings),
        databases={dump.alias: contents for dump, contents in zip(dumps[1:], others, strict=True)},
    )
    with written_whole(folder / MANIFEST) as file:
        file.write(manifest.to_json())
    return manifest


class _Dump:
    """The dump of one database."""

    def __init__(self, settings: BackupSettings, params: Mapping[str, Any], folder: Path) -> None:
        self._settings, self._params, self._folder = settings, params, folder
        self.alias = further_alias(settings)
        self.warnings: list[str] = []
        """Filled by `contents`."""
        self._engine = engine_for(settings.database)
        self._scope = contents.scope_of(params, settings).scope

    def snapshot(self) -> AbstractContextManager[None]:
        """Inside, the database is read as it is now."""
        return self._engine.snapshot([model._meta.db_table for model in self._scope.included])

    def contents(self, progress: Progress) -> Contents:
        """Inside `snapshot`: write the rows; return what the manifest says of the database."""
        settings, scope, engine = self._settings, self._scope, self._engine
        connection = connections[settings.database]
        engine.refuse_hidden_rows([model._meta.db_table for model in scope.included])
        note_of = "{} of " + self.alias if self.alias else "{}"
        members = write_members(
            engine,
            connection,
            scope,
            self._folder,
            alias=self.alias,
            natural_keys=settings.natural_keys,
            progress=lambda rows, note: progress(rows, None, note_of.format(note)),
        )
        warnings = members.warnings
        if contents.holds_files(self._params):
            # A package of files holds no rows; which files it should hold, they say all the same.
            whole = full_scope(settings) if self._params.get("type") == "files" else scope
            warnings += referenced_files.write(connection, whole.included, self._folder)
        self.warnings = [in_database(self.alias, line) for line in warnings]
        return Contents(
            database=_database(connection, engine.isolation),
            migrations=tuple(sorted(MigrationRecorder(connection).applied_migrations())),
            models=members.entries,
            excluded=tuple(Exclusion(label=name, reason=why) for name, why in scope.excluded),
            counters=engine.last_numbers(scope.included),
            sums=members.sums,
            sequences=tuple(engine.sequences([model._meta.db_table for model in scope.included])),
        )


def _database(connection: BaseDatabaseWrapper, isolation: str) -> dict[str, str]:
    version = ".".join(map(str, connection.get_database_version()))
    database = {"vendor": connection.vendor, "version": version, "isolation": isolation}
    database |= {"time_zone": zone} if (zone := project_zone()) else {}
    return database | ({"clear_fields": ",".join(clear)} if (clear := clear_fields()) else {})
