"""How a package is made: dump, then pack. Steps run the two one by one; a safety backup runs them
in one go.

Both work in a folder of the run's workspace:

    manifest.json       everything but the files (dump)
    database/*.jsonl    the rows (dump)
    references.jsonl    {"storage", "name", "field"} of each file that a row refers to (dump)
    files.jsonl         the files that there are (pack)
    NAME.tar…           the package, until it is published (pack)
"""

from __future__ import annotations

import platform
import secrets
import shutil
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import django
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.recorder import MigrationRecorder

import backup_tasks
from backup_tasks.backup import completeness, referenced_files
from backup_tasks.backup.file_list import with_files
from backup_tasks.backup.options import PackageOptions, package_options
from backup_tasks.conf import BackupSettings, backup_settings
from backup_tasks.engines import Engine, engine_for
from backup_tasks.errors import HandoverChanged, Misconfigured
from backup_tasks.package import keys
from backup_tasks.package.facts import PackageType
from backup_tasks.package.manifest import Exclusion, FieldEntry, Manifest, ModelEntry
from backup_tasks.package.names import (
    INDEX,
    MANIFEST,
    package_name,
    row_member,
)
from backup_tasks.package.sidecar import Sidecar
from backup_tasks.package.streams import Written, written_whole
from backup_tasks.package.writer import write_package
from backup_tasks.progress import Progress
from backup_tasks.rows.codec import RowCodec
from backup_tasks.rows.identities import settled_identities
from backup_tasks.rows.natural_keys import Model
from backup_tasks.rows.parallel_dump import Job, dump_all
from backup_tasks.rows.scope import Scope, columns_left_out, full_scope, label, models_without_table
from backup_tasks.rows.selection import ModelFilter, Selection, refuse_dependent, selection_of
from backup_tasks.storage import catalogue
from backup_tasks.storage.file_storages import project_trees
from backup_tasks.storage.folder import publish_to_path, sidecar_beside
from backup_tasks.storage.installation import this_installation


def dump_rows(folder: Path, *, params: Mapping[str, Any], progress: Progress) -> Manifest:
    """Write the rows, as one consistent snapshot has them, and a manifest without files.

    `params`: type, label, include, exclude, include_users. Raises what `form_of` raises,
    DumpFailed, DoesNotFit.
    """
    settings = backup_settings()
    package_options(params, settings)
    kind: PackageType = "partial" if ModelFilter.by(params) else params.get("type") or "full"
    withdraw(folder)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    engine = engine_for(settings.database)
    scope = scope_of(params, settings).scope
    with engine.snapshot([model._meta.db_table for model in scope.included]):
        connection = connections[settings.database]
        created_at = datetime.now(UTC)
        identities, warnings = settled_identities(connection, scope.included, settings.natural_keys)
        warnings += models_without_table(scope)
        warnings += columns_left_out(connection, scope.included)
        codecs = [RowCodec(model, identities, connection) for model in scope.included]
        entries = tuple(_dump_models(engine, codecs, folder, progress))
        if _holds_files(params):
            # A package of files holds no rows; which files it should hold, they say all the same.
            whole = full_scope(settings) if kind == "files" else scope
            warnings += referenced_files.write(connection, whole.included, folder)
        migrations = tuple(sorted(MigrationRecorder(connection).applied_migrations()))
        database = _database(connection, engine.isolation)
    manifest = Manifest(
        id=secrets.token_hex(8),
        label=str(params.get("label") or ""),
        type=kind,
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
        models=entries,
        excluded=tuple(Exclusion(label=name, reason=why) for name, why in scope.excluded),
        files=None,
        warnings=warnings,
    )
    with written_whole(folder / MANIFEST) as file:
        file.write(manifest.to_json())
    return manifest


def scope_of(params: Mapping[str, Any], settings: BackupSettings) -> Selection:
    """Return what a package made with these parameters holds. Raises Misconfigured, DoesNotFit."""
    whole = full_scope(settings, users=params.get("include_users") is not False)
    asked = ModelFilter.by(params)
    if params.get("type") == "files":
        if asked:
            raise Misconfigured(
                "--include and --exclude name models, and a package of files holds none",
                hint="Leave them out, or make a package of another type.",
            )
        left = ((label(model), "the package holds files only") for model in whole.included)
        return Selection(scope=Scope(included=(), excluded=(*left, *whole.excluded)), added={})
    if not asked:
        return Selection(scope=whole, added={})
    selection = selection_of(whole, asked)
    refuse_dependent(selection, whole)
    return selection


def _holds_files(params: Mapping[str, Any]) -> bool:
    return params.get("type") != "database"


def _dump_models(
    engine: Engine, codecs: list[RowCodec], folder: Path, progress: Progress
) -> Iterator[ModelEntry]:
    members = [row_member(number, codec.label) for number, codec in enumerate(codecs, start=1)]
    (folder / "database").mkdir()
    jobs = [
        Job(codec=codec, member=folder / member)
        for codec, member in zip(codecs, members, strict=True)
    ]
    found = dump_all(engine, jobs, lambda rows, note: progress(rows, None, note))
    for codec, member, read in zip(codecs, members, found, strict=True):
        dumped = read.dumped
        yield ModelEntry(
            label=codec.label,
            table=codec.table,
            count=dumped.count,
            digest=dumped.digest,
            exact=dumped.exact,
            member=member if dumped.count else None,
            size=dumped.size,
            sha256=dumped.sha256 if dumped.count else "",
            natural_key=codec.identity.paths or None,
            identity="natural" if codec.identity.loadable else "primary key",
            fields=tuple(field_entries(codec.model)),
            dangling=read.dangling,
        )


def field_entries(model: Model) -> Iterator[FieldEntry]:
    """Yield the model's columns, as the manifest lists them."""
    for field in model._meta.local_concrete_fields:
        yield FieldEntry(
            name=field.name,
            column=field.column,
            type=field.get_internal_type(),
            relation=label(cast(Model, field.related_model)) if field.is_relation else None,
        )


def _database(connection: BaseDatabaseWrapper, isolation: str) -> dict[str, str]:
    version = ".".join(map(str, connection.get_database_version()))
    return {"vendor": connection.vendor, "version": version, "isolation": isolation}


@dataclass(frozen=True, kw_only=True)
class Packed:
    """A package that was published."""

    name: str
    """Or its path, if it was written to one."""
    written: Written
    manifest: Manifest
    storages: completeness.Storages
    """{} for a package without files."""


def pack_and_publish(
    folder: Path,
    *,
    params: Mapping[str, Any],
    progress: Progress,
    counted: Mapping[str, int] | None = None,
) -> Packed:
    """Add the files to what `dump` left, write the package, and publish it.

    A package that lacks files which it should hold, by the rows, by what was `counted` before, by
    storage, and by the last package, is published as well: its manifest says `incomplete`, or
    `accepted` if the params say so.

    A second call after a crash publishes nothing twice: the name is made of the snapshot's time and
    the id. Raises SourceChanged (tried again by the caller) if a file changes while it is packed.
    """
    settings = backup_settings()
    options = package_options(params, settings)
    manifest = dumped(folder)
    index: Path | None = None
    storages: completeness.Storages = {}
    if _holds_files(params):
        index = folder / INDEX
        manifest, storages = with_files(
            manifest, folder, params, counted=counted or {}, progress=progress
        )
    name = options.output.name if options.output else _name(manifest, options)
    if published := _published(manifest, name, options):
        written = Written(size=published.size, sha256=published.sha256)
        manifest = replace(manifest, incomplete=published.incomplete)
        return Packed(
            name=str(options.output or name), written=written, manifest=manifest, storages=storages
        )
    target = folder / "packed" / name
    target.parent.mkdir(exist_ok=True)
    trees = {tree.alias: tree for tree in project_trees()}
    done = 0

    def count(size: int) -> None:
        nonlocal done
        done += size
        progress(done, manifest.totals.content_size, "packing")

    written = write_package(
        target,
        manifest=manifest,
        rows=folder,
        index=index,
        open_file=lambda storage, file: trees[storage].open(file),
        compression=options.compression,
        recipients=settings.recipients if options.encrypted else (),
        progress=count,
    )
    sidecar = _sidecar(manifest, name, written, options, settings)
    if options.output:
        publish_to_path(target, options.output, sidecar)
        name = str(options.output)
    else:
        alias, store = catalogue.stores()[0]
        store.publish(target, sidecar)
        catalogue.record(sidecar, alias)
    target.unlink()
    return Packed(name=name, written=written, manifest=manifest, storages=storages)


def dumped(folder: Path) -> Manifest:
    """Return the manifest that `dump` left. Raises HandoverChanged."""
    try:
        return Manifest.from_json((folder / MANIFEST).read_bytes())
    except FileNotFoundError as error:
        raise HandoverChanged(
            f"what the dump left is gone from the workspace, as host {socket.gethostname()} has it",
            obj=str(folder),
            hint="BACKUP['WORKSPACE'] must be one folder for all workers. Start the backup again.",
        ) from error


def withdraw(folder: Path) -> None:
    """Remove from the store what an attempt that died, and packed in `folder`, has left there: data
    without a sidecar, which is no package."""
    _, store = catalogue.stores()[0]
    for packed in folder.glob("packed/*"):
        store.withdraw(packed.name)


def _published(manifest: Manifest, name: str, options: PackageOptions) -> Sidecar | None:
    """What an earlier attempt published, and could not say so any more."""
    _, store = catalogue.stores()[0]
    if options.output:
        sidecar = sidecar_beside(options.output)
    else:
        sidecar = store.sidecar(name) if store.exists(name) else None
    if sidecar is None or sidecar.id != manifest.id:
        return None
    return sidecar


def _name(manifest: Manifest, options: PackageOptions) -> str:
    return package_name(
        project=manifest.project,
        created_at=datetime.fromisoformat(manifest.created_at),
        label=manifest.label,
        id=manifest.id,
        compression=options.compression,
        encrypted=options.encrypted,
    )


def _sidecar(
    manifest: Manifest,
    name: str,
    written: Written,
    options: PackageOptions,
    settings: BackupSettings,
) -> Sidecar:
    sidecar = Sidecar.of(
        manifest,
        name=name,
        written=written,
        compression=options.compression,
        recipients=settings.recipients if options.encrypted else (),
        installation=this_installation(),
    )
    key = keys.signing_key(settings)
    if key is not None:
        sidecar = sidecar.signed(key)
    return Sidecar.from_json(sidecar.to_json(), sidecar.file_name)  # what could not be read is not
