"""Migration compatibility: which packages fit this code, and how older ones are migrated.

A package of older migrations is loaded into tables of those migrations, with the historical models
of Django's migrations. It is validated there, and then migrated forward.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace
from typing import Any, cast

from django.apps import apps
from django.apps.registry import Apps
from django.contrib.contenttypes.fields import GenericForeignKey
from django.core.management import call_command
from django.db import IntegrityError, connections
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.db.migrations.state import ModelState, StateApps

from backup_tasks.conf import BackupSettings
from backup_tasks.errors import DoesNotFit, HandoverChanged, ValidationFailed
from backup_tasks.package.entries import FieldEntry
from backup_tasks.package.manifest import Manifest
from backup_tasks.package.names import in_database
from backup_tasks.rows.databases import each_database, further_alias
from backup_tasks.rows.key_columns import generic_keys
from backup_tasks.rows.line_format import project_zone
from backup_tasks.rows.members import field_entries
from backup_tasks.rows.natural_keys import Model
from backup_tasks.rows.scope import full_scope, label
from backup_tasks.storage.file_storages import project_trees

Migration = tuple[str, str]


def refuse_misfit(manifest: Manifest, settings: BackupSettings) -> None:
    """Raise DoesNotFit, naming every difference, if the package can't be restored by this code."""
    refuse_other_databases(manifest, settings)
    problems = [*_storage_problems(manifest)]
    for each in each_database(settings):
        alias = further_alias(each)
        problems += [in_database(alias, line) for line in _problems(manifest.part(alias), each)]
    if problems:
        raise DoesNotFit(
            "; ".join(problems),
            obj=f"package {manifest.id}",
            hint="Restore it with the code that it was made with, then upgrade.",
        )


def _problems(manifest: Manifest, settings: BackupSettings) -> list[str]:
    """Return why one database can't be restored."""
    problems = [
        *_zone_problems(manifest, settings),
        *_unknown_migrations(manifest, settings),
    ]
    if not manifest.models:
        pass  # files only: no table is touched
    elif manifest.type == "partial":
        problems += [*_partial_problems(manifest, settings)]
    elif not problems and not missing_migrations(manifest):
        problems += _model_problems(manifest, apps)
        problems += _unknown_models(manifest, settings)
    elif not problems:
        problems += _unreachable(manifest, settings)
    return problems


def refuse_other_databases(manifest: Manifest, settings: BackupSettings) -> None:
    """Raise DoesNotFit unless the package holds just the databases that this project backs up."""
    ours = [each.database for each in each_database(settings)]
    theirs = [manifest.database.get("alias", ours[0]), *manifest.databases]
    if theirs[0] != ours[0] or set(theirs) != set(ours):
        raise DoesNotFit(
            f"the package holds the databases {', '.join(theirs)}; this project backs up "
            f"{', '.join(ours)}",
            obj=f"package {manifest.id}",
            hint="Let BACKUP['DATABASES'] name those of the package, the first one first.",
        )


def missing_migrations(manifest: Manifest) -> list[str]:
    """Return the migrations of this code, as `app.name`, that are newer than the package. Does not
    query the database."""
    on_disk = _on_disk()
    replaced = {old for migration in on_disk.values() for old in migration.replaces}
    theirs = set(manifest.migrations)
    missing = (
        key
        for key, migration in on_disk.items()
        if key[0] in _apps_in(manifest) and key not in theirs | replaced
        if not (migration.replaces and theirs.issuperset(migration.replaces))
    )
    return sorted(".".join(key) for key in missing)


def has_live_migrations(manifest: Manifest, settings: BackupSettings) -> bool:
    """Whether live has exactly the package's migrations, in the apps of its models."""
    applied = MigrationRecorder(connections[settings.database]).applied_migrations()
    return _within_apps(manifest, applied) == _within_apps(manifest, manifest.migrations)


def models_of(manifest: Manifest, settings: BackupSettings) -> list[Model]:
    """Return the models whose tables a restore of the package replaces.

    Those in the package. For an older package, all of today's except those that it left out.
    """
    if not manifest.models or not missing_migrations(manifest):
        return [cast(Model, apps.get_model(entry.label)) for entry in manifest.models]
    left_out = {exclusion.label for exclusion in manifest.excluded}
    return [model for model in full_scope(settings).included if label(model) not in left_out]


def build(manifest: Manifest, settings: BackupSettings, *, tables: Collection[str]) -> None:
    """Run the package's migrations, and those they depend on, in an empty staging schema. Of its
    apps that have no migrations, make those of live's `tables` that today's models have."""
    connection = connections[settings.database]
    executor = MigrationExecutor(connection)
    executor.migrate(_targets(manifest, executor.loader))
    missing = set(tables) - set(connection.introspection.table_names())
    with connection.schema_editor() as editor:
        for model in _without_migrations(manifest, executor.loader):
            if model._meta.can_migrate(connection) and model._meta.db_table in missing:
                editor.create_model(model)


def apps_of(manifest: Manifest, settings: BackupSettings) -> StateApps | Apps:
    """Return the models as they were when the package was made: today's, or historical ones."""
    if not missing_migrations(manifest):
        return apps
    return _models_then(manifest, _loader(settings))


def migrate_forward(settings: BackupSettings) -> None:
    """Run the migrations that are newer than the package, in a staging schema that was validated.

    Raises ValidationFailed if they leave dangling references.
    """
    connection = connections[settings.database]
    call_command("migrate", database=settings.database, interactive=False, verbosity=0)
    try:
        connection.check_constraints()
    except IntegrityError as error:
        raise ValidationFailed(
            f"the migrations since left references that lead nowhere: {error}",
            obj=f"database {settings.database}",
            hint="Live data was not touched. Mend the data migration, then restore again.",
        ) from error


def refuse_migrated_forward(manifest: Manifest, settings: BackupSettings) -> None:
    """Raise HandoverChanged if staging has newer migrations than the package: an earlier attempt
    died while it migrated forward, and staging can't be compared with the package any more."""
    applied = MigrationRecorder(connections[settings.database]).applied_migrations()
    if not {".".join(key) for key in applied}.isdisjoint(missing_migrations(manifest)):
        raise HandoverChanged(
            "staging was migrated forward by an attempt that did not finish",
            obj=f"package {manifest.id}",
            hint="Live data was not touched. Start the restore again.",
        )


def _within_apps(manifest: Manifest, migrations: object) -> set[Migration]:
    wanted = _apps_in(manifest)
    return {key for key in cast("list[Migration]", migrations) if key[0] in wanted}


def _apps_in(manifest: Manifest) -> set[str]:
    return {entry.label.split(".")[0] for entry in manifest.models}


def _loader(settings: BackupSettings) -> MigrationLoader:
    return MigrationLoader(connections[settings.database], ignore_no_migrations=True)


def _on_disk() -> dict[Migration, Any]:
    return MigrationLoader(None, ignore_no_migrations=True).disk_migrations


def _models_then(manifest: Manifest, loader: MigrationLoader) -> StateApps:
    """Return the models as the package's migrations leave them, with the generic keys that no
    migration knows; and today's of apps that have no migrations, of which Django's own state lacks
    everything that refers to another model."""
    state = loader.project_state(_targets(manifest, loader))
    models = _without_migrations(manifest, loader)
    for model in models:
        state.add_model(ModelState.from_model(model))
    state.real_apps = set(state.real_apps) - {model._meta.app_label for model in models}
    then = state.apps
    for entry in manifest.models:
        _add_generic_keys(entry.label, then)
    return then


def _add_generic_keys(name: str, then: StateApps) -> None:
    """Give a model as it was the generic keys of today's whose columns it has."""
    try:
        was, today = cast(Model, then.get_model(name)), cast(Model, apps.get_model(name))
    except LookupError:
        return
    there = {field.name for field in was._meta.local_concrete_fields}
    for key in generic_keys(today):
        if {key.ct_field, key.fk_field} <= there:
            known = GenericForeignKey(key.ct_field, key.fk_field, key.for_concrete_model)
            known.contribute_to_class(was, key.name)


def _without_migrations(manifest: Manifest, loader: MigrationLoader) -> list[Model]:
    """Return today's models of the package's apps that have no migrations."""
    unmigrated = sorted(loader.unmigrated_apps & _apps_in(manifest))
    return [
        model
        for name in unmigrated
        for model in apps.get_app_config(name).get_models(include_swapped=True)
    ]


def _targets(manifest: Manifest, loader: MigrationLoader) -> list[Migration]:
    """Return the package's latest migrations in today's graph, those on which none of the others
    depends. A squashed migration stands for those that it replaces."""
    reached = _reached(manifest, loader)
    before = {
        earlier for key in reached for earlier in loader.graph.forwards_plan(key) if earlier != key
    }
    return sorted(reached - before)


def _reached(manifest: Manifest, loader: MigrationLoader) -> set[Migration]:
    theirs = set(manifest.migrations)
    return {
        key
        for key, migration in loader.graph.nodes.items()
        if key[0] in _apps_in(manifest) and migration is not None
        if key in theirs or (migration.replaces and theirs.issuperset(migration.replaces))
    }


def _unknown_migrations(manifest: Manifest, settings: BackupSettings) -> Iterator[str]:
    on_disk = _on_disk()
    ours = set(MigrationRecorder(connections[settings.database]).applied_migrations())
    replaced = {old for migration in on_disk.values() for old in migration.replaces}
    for key in sorted(
        _within_apps(manifest, manifest.migrations) - on_disk.keys() - ours - replaced
    ):
        yield f"the package was made after migration {'.'.join(key)}, which is not in the code"
    for entry in manifest.models:
        if entry.label.split(".")[0] not in apps.app_configs:
            yield f"model {entry.label} ({entry.count} rows) is not installed here"


def _unreachable(manifest: Manifest, settings: BackupSettings) -> Iterator[str]:
    """Yield why today's migrations can't build the package's models."""
    loader = _loader(settings)
    reached = _reached(manifest, loader)
    for key in sorted(
        _within_apps(manifest, manifest.migrations) & loader.disk_migrations.keys() - reached
    ):
        yield f"migration {'.'.join(key)} was squashed with others that the package was made before"
    if reached:
        yield from _model_problems(manifest, _models_then(manifest, loader))


def _partial_problems(manifest: Manifest, settings: BackupSettings) -> Iterator[str]:
    """A partial restore keeps some of live's tables, so the package must have live's migrations."""
    if has_live_migrations(manifest, settings):
        yield from _model_problems(manifest, apps)
    else:
        yield (
            "a part is restored beside tables that stay, so only at the migrations that live has; "
            "those of the package differ"
        )


def _model_problems(manifest: Manifest, known: StateApps | Apps) -> Iterator[str]:
    for entry in manifest.models:
        try:
            model = cast(Model, known.get_model(entry.label))
        except LookupError:
            yield f"model {entry.label} ({entry.count} rows) is not installed here"
            continue
        theirs = set(map(_comparable, entry.fields))
        ours = set(map(_comparable, field_entries(model)))
        for field in sorted(theirs - ours, key=str):
            yield f"field {entry.label}.{field.name} ({field.type}) is not in the code here"
        for field in sorted(ours - theirs, key=str):
            yield f"field {entry.label}.{field.name} ({field.type}) is not in the package"
        if model._meta.db_table != entry.table:
            yield f"table of {entry.label} is {model._meta.db_table} here, not {entry.table}"


def _comparable(field: FieldEntry) -> FieldEntry:
    """Historical models have the project's default type of automatic keys, not their app's."""
    return replace(field, type="AutoField") if field.type.endswith("AutoField") else field


def _unknown_models(manifest: Manifest, settings: BackupSettings) -> Iterator[str]:
    told = {entry.label for entry in manifest.models}
    told |= {exclusion.label for exclusion in manifest.excluded}
    for model in full_scope(settings).included:
        if label(model) not in told:
            yield f"model {label(model)} is installed here, and the package does not know it"


def _zone_problems(manifest: Manifest, settings: BackupSettings) -> Iterator[str]:
    """On SQLite and MariaDB, the zone of a datetime column is that of the settings. PostgreSQL
    stores UTC."""
    if manifest.format == 1 or connections[settings.database].vendor == "postgresql":
        return
    theirs, ours = manifest.database.get("time_zone", ""), project_zone()
    if manifest.models and theirs != ours:
        yield (
            f"its datetimes are {_zone_in_words(theirs)}, the project's {_zone_in_words(ours)}: "
            "restore it under the package's USE_TZ and TIME_ZONE"
        )


def _zone_in_words(zone: str) -> str:
    return f"without a zone, of {zone} (USE_TZ = False)" if zone else "in UTC (USE_TZ = True)"


def _storage_problems(manifest: Manifest) -> Iterator[str]:
    # The load step reads the list of files, and refuses an unknown alias.
    if manifest.files is not None and manifest.files.count and not project_trees():
        yield "the package holds files, and this project has no storage for them (MEDIA_ROOT)"
