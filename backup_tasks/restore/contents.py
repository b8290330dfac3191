"""What a restore takes from an opened package: its models, its files, and their codecs."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

from django.apps import apps
from django.apps.registry import Apps
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.state import StateApps

from backup_tasks.backup import completeness, referenced_files
from backup_tasks.conf import BackupSettings, backup_settings
from backup_tasks.engines import engine_for
from backup_tasks.errors import (
    DoesNotFit,
    HandoverChanged,
    Misconfigured,
)
from backup_tasks.package.entries import Exclusion, ModelEntry
from backup_tasks.package.index import FileEntry, read_index
from backup_tasks.package.manifest import Manifest
from backup_tasks.package.names import INDEX, MANIFEST
from backup_tasks.restore import one_database
from backup_tasks.rows.codec import RowCodec
from backup_tasks.rows.databases import each_database, further_alias, lives_in
from backup_tasks.rows.identities import identity_in
from backup_tasks.rows.line_format import LineFormat, project_zone
from backup_tasks.rows.natural_keys import Identity, Model
from backup_tasks.rows.scope import Scope, full_scope, label, refers_to
from backup_tasks.rows.selection import ModelFilter, selection_of
from backup_tasks.storage import disk_space
from backup_tasks.storage.disk_space import Need
from backup_tasks.storage.exclusion import is_excluded
from backup_tasks.storage.file_storages import project_trees
from backup_tasks.storage.files import Entry
from backup_tasks.storage.on_disk import Access

STAYS = "stays.json"
"""Written beside the manifest by `named_objects`: see `Selected.stays`."""


def require_room(folder: Path, manifest: Manifest) -> None:
    """Raise StorageRefused if there is no room for staging, the undo schema or the staged files."""
    needs = []
    for each in each_database(backup_settings()):
        part = manifest.part(further_alias(each))
        rows = sum(entry.size for entry in part.models)
        if part.models and (tables := engine_for(each.database).disk_space_needed(rows)):
            needs.append(tables)
    for tree in project_trees() if expected_files(manifest) is not None else ():
        if schema := tree.folder:
            size = sum(entry.size for entry in entries_of(folder, manifest, tree.alias))
            needs += [Need(what=f"the files of storage {tree.alias}", folder=schema, size=size)]
    disk_space.require(needs)


def expected_results(manifest: Manifest, folder: Path | None = None) -> dict[str, Any]:
    """Return what a restore of the package must restore."""
    return {
        "expected": manifest.counts,
        "expected_files": expected_files(manifest, folder),
        "warnings": list(completeness.warnings(manifest)),
    }


def expected_files(manifest: Manifest, folder: Path | None = None) -> int | None:
    """Return how many files a restore restores. None if it restores no files, or only those that
    the loaded rows refer to. Without the folder of the unpacked package, the count includes files
    that the settings exclude now."""
    if manifest.files is None or (keeps_other_files(manifest) and manifest.models):
        return None
    if folder is None or not backup_settings().files_exclude:
        return manifest.files.count
    with (folder / INDEX).open("rb") as lines:
        return sum(not is_excluded(entry.name) for entry in read_index(lines, manifest.files))


def unpacked_manifest(folder: Path, params: Mapping[str, Any]) -> Manifest:
    """Return the manifest that `unpack_into` wrote, reduced to what is restored.

    Raises HandoverChanged, and what `select` raises.
    """
    return unpacked_selection(folder, params).manifest


def unpacked_selection(folder: Path, params: Mapping[str, Any]) -> Selected:
    """Return what the run restores of the package that `unpack_into` unpacked.

    Raises HandoverChanged, and what `select` raises.
    """
    try:
        manifest = Manifest.from_json((folder / MANIFEST).read_bytes())
    except FileNotFoundError as error:
        raise HandoverChanged(
            "the unpacked package is gone from the workspace",
            obj=str(folder),
            hint="Start the restore again: a run's workspace must reach all of its workers.",
        ) from error
    selected = select(manifest, params)
    if not params.get("objects"):
        return selected
    return replace(selected, stays=json.loads((folder / STAYS).read_bytes()))


@dataclass(frozen=True, kw_only=True)
class Selected:
    """The selection of a package that is restored."""

    manifest: Manifest
    """Reduced to the selection. It is partial if live keeps tables that the package could replace.
    Live then keeps its files too, except those that the restored rows refer to."""
    added: Mapping[str, str]
    """Label of each model that the closure added → what needs it."""
    referred: Mapping[str, str]
    """Label of each model of the package to which the selection only refers → by what. A restore
    does not restore it. A merge, for which it is in the manifest, leaves the rows that live has."""
    whole: Manifest
    """The manifest before that."""
    stays: Mapping[str, Collection[str]] = field(default_factory=dict)
    """Label → primary keys, as text, of the rows to which single objects only refer. A merge leaves
    those that live has."""


def select(manifest: Manifest, params: Mapping[str, Any]) -> Selected:
    """Reduce the manifest to what the params `type`, `database`, `include`, `exclude`, `mode` and
    `replace_referenced` select.

    Raises DoesNotFit if the package does not hold it, Misconfigured for unknown names.
    """
    kind, asked = str(params.get("type", "full")), ModelFilter.by(params)
    if params.get("objects") and params.get("mode") != "merge":
        raise Misconfigured(
            "single objects can be merged, and not be restored in place of a whole table",
            obj=f"package {manifest.id}",
            hint="Say --mode merge with --object.",
        )
    manifest = one_database.only(manifest, params)
    if (kind == "files" and manifest.files is None) or (
        (kind == "database" or asked) and manifest.type == "files"
    ):
        holds = "files" if manifest.type == "files" else "database"
        raise DoesNotFit(
            f"the package holds {holds} only",
            obj=f"package {manifest.id}",
            hint=f"Say --type {holds}, or use a package that holds what you want.",
        )
    if kind == "files":
        if asked or params.get("objects"):
            raise Misconfigured(
                "--include, --exclude and --object name rows, and --type files restores none",
                hint="Leave them out, or say --type full for the models with their files.",
            )
        return _everything(one_database.without_rows(manifest))
    if kind == "database":
        manifest = replace(manifest, files=None)
    if params.get("objects"):  # `named_objects` has left no row of another model
        models = tuple(entry for entry in manifest.models if entry.count)
        return _everything(replace(manifest, models=models))
    return _filtered(manifest, asked, params) if asked else _everything(manifest)


def _everything(manifest: Manifest) -> Selected:
    return Selected(manifest=manifest, added={}, referred={}, whole=manifest)


def _filtered(manifest: Manifest, asked: ModelFilter, params: Mapping[str, Any]) -> Selected:
    """Without --include, a model that is not installed stays: the compatibility check names it."""
    known = {label(model): model for model in apps.get_models(include_auto_created=True)}
    whole = Scope(
        included=tuple(known[entry.label] for entry in manifest.models if entry.label in known),
        excluded=tuple((gone.label, gone.reason) for gone in manifest.excluded),
    )
    replaced = bool(params.get("replace_referenced"))
    selection = selection_of(whole, asked, with_referred=replaced)
    referred = selection.referred
    if params.get("mode") == "merge" and not replaced:  # it needs their keys
        named, selection = selection, selection_of(whole, asked)
        referred = {name: why for name, why in selection.added.items() if name not in named.added}
    taken = {label(model) for model in selection.scope.included}
    if not asked.include:
        taken |= {entry.label for entry in manifest.models} - set(known)
    reasons = {entry.label: "left out by --include" for entry in manifest.models}
    reasons |= dict(selection.scope.excluded)
    cut = replace(
        manifest,
        type="partial",
        models=tuple(entry for entry in manifest.models if entry.label in taken),
        excluded=tuple(
            Exclusion(label=name, reason=why)
            for name, why in sorted(reasons.items())
            if name not in taken
        ),
    )
    return Selected(manifest=cut, added=selection.added, referred=referred, whole=manifest)


def entries_of(folder: Path, manifest: Manifest, alias: str) -> Iterator[Entry]:
    """Yield the files of one storage that are restored, in the order of `files.Tree.names`. Files
    that the settings exclude now are not restored."""
    if manifest.files is None:
        return
    with (folder / INDEX).open("rb") as lines, ExitStack() as stack:
        wanted = None
        if keeps_other_files(manifest) and manifest.models:
            wanted = stack.enter_context(referenced_files.of(folder))
        for entry in read_index(lines, manifest.files):
            if (
                entry.storage == alias
                and not is_excluded(entry.name)
                and (wanted is None or wanted(alias, entry.name))
            ):
                yield Entry(
                    name=entry.name, size=entry.size, sha256=entry.sha256, access=_access(entry)
                )


def _access(entry: FileEntry) -> Access | None:
    if not entry.mode:
        return None
    user, group = entry.owner_ids or (None, None)
    owner = None if user is None or group is None else (user, group)
    return Access(mode=int(entry.mode, 8), owner=owner)


def keeps_other_files(manifest: Manifest) -> bool:
    """Whether live keeps files that are not in the package. In a partial restore, rows that stay
    may refer to them. An incomplete package lacks files that must not be deleted. In both cases the
    loaded rows say which of the package's files are restored."""
    return manifest.type == "partial" or bool(manifest.incomplete)


def codecs_of(
    manifest: Manifest, models_then: StateApps | Apps, connection: BaseDatabaseWrapper
) -> list[RowCodec]:
    """Return the codec of each model, with the package's identities."""
    known = identities_of(manifest, models_then, connection.alias)
    models = [cast(Model, models_then.get_model(entry.label)) for entry in manifest.models]
    line_format = line_format_of(manifest)
    return [RowCodec(model, known, connection, line_format=line_format) for model in models]


def line_format_of(manifest: Manifest) -> LineFormat:
    """Return the format of the package's lines. Format 1 does not name the zone of a project
    without time zones, so this project's is used."""
    database = manifest.database
    zone = database.get("time_zone", "") if manifest.format > 1 else project_zone()
    clear = tuple(filter(None, database.get("clear_fields", "").split(",")))
    return LineFormat(
        number=manifest.format, vendor=database.get("vendor", ""), zone=zone, clear=clear
    )


def identities_of(
    manifest: Manifest, models_then: StateApps | Apps, alias: str
) -> dict[Model, Identity]:
    """Return the identity of each model: the package's, or this project's for models that the
    package's rows refer to but that it does not hold."""
    keys = backup_settings().natural_keys
    models = [cast(Model, models_then.get_model(entry.label)) for entry in manifest.models]
    known = dict(zip(models, map(_identity, manifest.models), strict=True))
    for model in models:
        for target in refers_to(model):
            known.setdefault(target, identity_in(alias, target, keys))
    return known


def _identity(entry: ModelEntry) -> Identity:
    return Identity(
        paths=entry.natural_key or (),
        source="the package",
        loadable=entry.identity == "natural",
    )


def models_beside(models: Sequence[Model], settings: BackupSettings) -> list[Model]:
    """Return the models whose live rows stand beside the restored ones: all that a package could
    replace and this one does not, and what any of them refers to.

    So staging is what live will be, and is proven as that: no row of the rest may lose what it
    refers to, nor the project's own checks see half a system. Historical models know no rest.
    """
    rest: list[Model] = []
    if all(model in apps.get_models(include_auto_created=True) for model in models):
        rest = [model for model in full_scope(settings).included if model not in models]
    return rest + models_referred_to([*models, *rest], settings.database)


def models_referred_to(models: Sequence[Model], alias: str) -> list[Model]:
    """Return the other models of the alias's database that these refer to by foreign keys, directly
    or not."""
    found: dict[Model, None] = {}
    queue = list(models)
    while queue:
        for target in refers_to(queue.pop()):
            if target not in models and target not in found and lives_in(alias, target):
                found[target] = None
                queue.append(target)
    return list(found)
