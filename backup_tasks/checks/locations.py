"""Checks of folders, storages, key files and the database: what is where."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from django.conf import settings as django_settings
from django.core.checks import CheckMessage, Error, Info, Warning
from django.core.files.storage import storages
from django.db import DatabaseError, InterfaceError, connections, models

from backup_tasks.checks.settings import check_settings, with_sound_settings
from backup_tasks.conf import BackupSettings, backup_settings
from backup_tasks.engines import Engine, engine_class, engine_for
from backup_tasks.error_classification import explain
from backup_tasks.errors import BackupError, KeyMissing, Misconfigured
from backup_tasks.package import keys
from backup_tasks.rows.databases import each_database
from backup_tasks.rows.installed import backed_up, backed_up_anywhere
from backup_tasks.storage.file_storages import (
    UNDO_FILES_HINT,
    alias_and_folder,
    is_unset,
    misplaced,
    perishable,
    undo_files_misplaced,
)
from backup_tasks.storage.undo_files import folder_for, on_another_file_system

_OTHERS = stat.S_IROTH | stat.S_IWOTH


@with_sound_settings
def check_folders(settings: BackupSettings) -> Iterator[CheckMessage]:
    """E003, E004: folders that lie within one another, storages that do not exist."""
    for alias in settings.file_storages:
        if alias not in django_settings.STORAGES:
            hint = f"STORAGES has: {', '.join(django_settings.STORAGES)}."
            problem = f"BACKUP['FILE_STORAGES'] names no storage: {alias!r}"
            yield Error(problem, hint=hint, id="backup_tasks.E004")
        elif not is_unset(alias) and (problem := misplaced(alias)):
            yield Error(
                f"storage {alias}: {problem}",
                hint="A restore replaces what is in the folder of the files: give the files, the "
                "store and the workspace folders of their own, none within another.",
                id="backup_tasks.E003",
            )


@with_sound_settings
def check_undo_files(settings: BackupSettings) -> Iterator[CheckMessage]:
    """E009. A file is moved from each folder into the storage, if this user may."""
    for alias in settings.undo_files:
        problem = undo_files_misplaced(alias)
        if not problem and not is_unset(alias) and (folder := folder_for(alias)):
            problem = on_another_file_system(folder, Path(storages[alias].path("")))
        if problem:
            yield Error(
                f"BACKUP['UNDO_FILES'], storage {alias}: {problem}",
                hint=UNDO_FILES_HINT,
                id="backup_tasks.E009",
            )


@with_sound_settings
def check_perishable(settings: BackupSettings) -> Iterator[CheckMessage]:
    """W007: folders among installed code."""
    if all(alias in django_settings.STORAGES for alias in settings.file_storages):
        for problem in perishable():
            hint = "Name a folder of its own for it, outside of the virtual environment."
            yield Warning(problem, hint=hint, id="backup_tasks.W007")


@with_sound_settings
def check_engine(settings: BackupSettings) -> Iterator[CheckMessage]:
    """E008: databases that are not supported."""
    for each in each_database(settings):
        try:
            engine_class(each.database)
        except Misconfigured as error:
            yield Error(f"{error.obj}: {error.what}", hint=error.hint, id="backup_tasks.E008")


@with_sound_settings
def check_keys(settings: BackupSettings) -> Iterator[CheckMessage]:
    """W001, W009, W010, I002: warnings, so that commands which need no key go on."""
    named = [("IDENTITIES", path) for path in settings.identities]
    named += [("SIGNING_KEY", settings.signing_key)] if settings.signing_key else []
    yield from _wrong_keys(settings, readable=[path for _, path in named if _is_readable(path)])
    for key, name in named:
        try:
            mode = Path(name).stat().st_mode
        except OSError as error:
            problem = f"can't be read: {error.strerror}"
            hint = "Put the key there, or leave the setting out where no worker needs it."
        else:
            if not mode & _OTHERS:
                continue
            problem = "can be read or changed by every user of this machine"
            hint = f"chmod 600 {name}"
        yield Warning(f"BACKUP['{key}']: {name} {problem}", hint=hint, id="backup_tasks.W001")
    if settings.recipients and not settings.signing_key:
        yield Info(
            "Packages are encrypted, but nobody signs them: whoever can write to the store can "
            "put a package of their own there, encrypted to the same public keys.",
            hint="Set BACKUP['SIGNING_KEY'], and BACKUP['TRUSTED_KEYS'] where packages are read.",
            id="backup_tasks.I002",
        )


def _wrong_keys(settings: BackupSettings, readable: Sequence[str | Path]) -> Iterator[CheckMessage]:
    """A file that this process may not read is W001's: the workers may."""
    identities = [path for path in settings.identities if path in readable]
    readers: list[Callable[[], object]] = [
        lambda: keys.check_recipients(settings),
        lambda: keys.check_trusted(settings),
        lambda: keys.identities(replace(settings, identities=identities), {}),
    ]
    if settings.signing_key in readable:
        readers.append(lambda: keys.signing_key(settings))
    for read in readers:
        try:
            read()
        except KeyMissing as error:
            yield Warning(f"{error.obj}: {error.what}", hint=error.hint, id="backup_tasks.W009")
    if settings.require_encryption and not settings.recipients:
        yield Warning(
            "BACKUP['REQUIRE_ENCRYPTION'] is set, and there is no public key to encrypt to",
            hint="Name an age public key in BACKUP['RECIPIENTS'].",
            id="backup_tasks.W010",
        )


def _is_readable(path: str | Path) -> bool:
    return os.access(path, os.R_OK)


@with_sound_settings
def check_file_fields(settings: BackupSettings) -> Iterator[CheckMessage]:
    """W003: file fields whose storage is not backed up."""
    for model in backed_up_anywhere(settings):
        for field in model._meta.local_fields:
            if isinstance(field, models.FileField) and alias_and_folder(field.storage) is None:
                yield Warning(
                    f"{model._meta.label}.{field.name}: its files are in no package",
                    hint="Add the alias of its storage to BACKUP['FILE_STORAGES'], and give the "
                    "storage a folder (MEDIA_ROOT); or exclude the model, or silence this check if "
                    "something else backs the files up.",
                    obj=model,
                    id="backup_tasks.W003",
                )


def check_wal(databases: Sequence[str] | None = None, **_: Any) -> list[CheckMessage]:
    """W002. Asks the database, so it runs with `check --database` and `migrate` only."""
    if check_settings():
        return []
    asked = [each.database for each in each_database(backup_settings())]
    return [
        Warning(
            f"database {alias}: SQLite is in journal mode {mode!r}, so nobody can write while a "
            "backup reads, and heartbeats of the step itself must wait",
            hint='Set OPTIONS = {"init_command": "PRAGMA journal_mode=WAL"} in DATABASES.',
            id="backup_tasks.W002",
        )
        for alias in asked
        if alias in (databases or ()) and (mode := _journal_mode(alias)) not in ("wal", "memory")
    ]


def _journal_mode(alias: str) -> str:
    connection = connections[alias]
    if connection.vendor != "sqlite":
        return "wal"  # readers and writers do not wait for each other
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA journal_mode")
        return str(cursor.fetchone()[0])


def check_staging(databases: Sequence[str] | None = None, **_: Any) -> list[CheckMessage]:
    """W008, and E008 for a server that is not supported. Asks the database, so it runs with `check
    --database` and `migrate` only."""
    if check_settings():
        return []
    found = (
        _staging_refused(each)
        for each in each_database(backup_settings())
        if each.database in (databases or ())
    )
    return [*filter(None, found)]


def _staging_refused(settings: BackupSettings) -> CheckMessage | None:
    alias = settings.database
    engine: Engine | None = None
    try:
        engine = engine_for(alias)
        tables = [model._meta.db_table for model in backed_up(settings)]
        engine.rehearse_promote(tables)
    except (BackupError, DatabaseError, InterfaceError) as error:
        if engine is None and isinstance(error, Misconfigured):  # not even a backup is possible
            return Error(f"{error.obj}: {error.what}", hint=error.hint, id="backup_tasks.E008")
        told = explain(error)
        return Warning(
            f"database {alias}: a drill or a restore would be refused: {told.what}",
            hint=told.hint or "It needs connections of its own, beside the project's.",
            id="backup_tasks.W008",
        )
    return None


@with_sound_settings
def check_memory(settings: BackupSettings) -> Iterator[CheckMessage]:
    """W006: storages that keep a whole file in memory."""
    for alias in dict.fromkeys([*settings.file_storages, *settings.stores]):
        if alias in django_settings.STORAGES and not getattr(
            storages[alias], "max_memory_size", True
        ):
            yield Warning(
                f"storage {alias} keeps a file that is read in memory, whatever its size",
                hint="Give it a limit, above which it uses a temporary file: in STORAGES, "
                'OPTIONS = {"max_memory_size": 1 << 20}.',
                id="backup_tasks.W006",
            )
