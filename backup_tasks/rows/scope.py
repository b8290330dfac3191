"""The scope: which models a package holds, and the reason why each other one is left out."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import cast

from django.apps import apps
from django.contrib.auth import get_user_model
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from backup_tasks.conf import BackupSettings
from backup_tasks.engines import engine_for
from backup_tasks.errors import Misconfigured
from backup_tasks.rows.databases import lives_in
from backup_tasks.rows.missing_tables import refuse_rows_left_out, refuse_tables_elsewhere
from backup_tasks.rows.natural_keys import Model
from backup_tasks.rows.query import Field

CONTROL_APPS = frozenset({"backup_tasks", "django_celery_results", "sessions"})
"""Apps that are never in a package and never replaced, so that the ledger survives a restore."""

NO_TABLE = "its table does not exist"
"""Why a model is left out that was never migrated here."""

_GENERATED_COLUMNS = {
    "postgresql": "SELECT attname FROM pg_attribute"
    " WHERE attrelid = quote_ident(%s)::regclass AND attgenerated <> ''",
    "mysql": "SELECT column_name FROM information_schema.columns WHERE table_schema = DATABASE()"
    " AND table_name = %s AND generation_expression IS NOT NULL",
    "sqlite": "SELECT name FROM pragma_table_xinfo(%s) WHERE hidden IN (2, 3)",
}
"""By the backend's vendor: the columns of a table that the database computes from others."""


@dataclass(frozen=True, kw_only=True)
class Scope:
    """Every installed model is either included or excluded."""

    included: tuple[Model, ...]
    """Sorted so that each comes after the models that it refers to, except in a cycle."""
    excluded: tuple[tuple[str, str], ...]
    """(label, reason) pairs."""


def label(model: Model) -> str:
    """Return the name of a model in packages and messages: "app.model"."""
    return model._meta.label_lower


def names_of(model: Model) -> set[str]:
    """Return the names by which an option selects the model: its app label, its own label, and for
    the table of a many-to-many field the label of the model that has the field."""
    owner = model._meta.auto_created
    return {model._meta.app_label, label(model), label(cast(Model, owner or model))}


def full_scope(settings: BackupSettings, *, users: bool = True) -> Scope:
    """Return the scope of a full package of this project. `users=False` leaves the users out.

    Raises Misconfigured, also where a model has rows in a table that the database does not list.
    """
    installed = apps.get_models(include_auto_created=True, include_swapped=True)
    _refuse_unknown_names(settings.exclude, installed)
    connection = connections[settings.database]
    with connection.cursor() as cursor:
        tables = set(connection.introspection.table_names(cursor))
    included: list[Model] = []
    excluded: list[tuple[str, str]] = []
    for model in installed:
        reason = _exclusion_reason(model, settings, tables, users=users)
        if reason:
            excluded.append((label(model), reason))
        else:
            included.append(model)
    refuse_rows_left_out(
        connection, [model for model in installed if (label(model), NO_TABLE) in excluded]
    )
    refuse_tables_elsewhere(engine_for(settings.database), included)
    return Scope(included=tuple(by_dependency(included)), excluded=tuple(sorted(excluded)))


def _exclusion_reason(
    model: Model, settings: BackupSettings, tables: Collection[str], *, users: bool
) -> str:
    meta = model._meta
    if meta.proxy:
        return f"a proxy: its rows are those of {label(cast(Model, meta.concrete_model))}"
    if meta.swapped:
        return f"swapped for {meta.swapped}"
    if meta.app_label in CONTROL_APPS:
        return "a control table: it records runs, or belongs to the people who are signed in"
    if names_of(model) & {name.lower() for name in settings.exclude}:
        return "excluded by settings.BACKUP['EXCLUDE']"
    if not meta.managed:
        return "not managed by migrations (a view, or another program's table)"
    if not lives_in(settings.database, model):
        return f"kept in another database than {settings.database}"
    if meta.db_table not in tables:
        return NO_TABLE
    if not users and label(get_user_model()) in names_of(model):
        return "users were left out by --no-include-users"
    return ""


def models_without_table(scope: Scope) -> tuple[str, ...]:
    """Return a warning for each model that is left out because it has no table."""
    return tuple(
        f"{name} is not in the package: {why}" for name, why in scope.excluded if why == NO_TABLE
    )


def columns_left_out(connection: BaseDatabaseWrapper, models: Iterable[Model]) -> tuple[str, ...]:
    """Return a warning for each column that belongs to no field, such as one added by hand. A
    generated column is none of them: the database computes it again."""
    warnings = []
    with connection.cursor() as cursor:
        for model in models:
            name = model._meta.db_table
            table = connection.introspection.get_table_description(cursor, name)
            known = {field.column for field in model._meta.local_concrete_fields}
            if unknown := [column.name for column in table if column.name not in known]:
                cursor.execute(_GENERATED_COLUMNS[connection.vendor], [name])
                generated = {found for (found,) in cursor.fetchall()}
                warnings += [
                    f"{label(model)}: the column {column} of its table belongs to no field; its "
                    "values are not in the package"
                    for column in unknown
                    if column not in generated
                ]
    return tuple(warnings)


def _refuse_unknown_names(names: Sequence[str], installed: Iterable[Model]) -> None:
    known = {model._meta.app_label for model in installed} | {label(m) for m in installed}
    if unknown := [name for name in names if name.lower() not in known]:
        raise Misconfigured(
            f"settings.BACKUP['EXCLUDE'] names no installed app or model: {', '.join(unknown)}",
            hint="Names are app labels (“auth”) or app.Model (“auth.Permission”).",
        )


def target_of(field: Field) -> Model | None:
    """Return the model that a foreign key refers to, None for another field."""
    related = cast("Model | None", field.related_model) if field.is_relation else None
    return related and (related._meta.concrete_model or related)


def refers_to(model: Model) -> list[Model]:
    """Return the models that the model's foreign keys refer to."""
    return list(filter(None, map(target_of, model._meta.local_concrete_fields)))


def by_dependency(models: Sequence[Model]) -> list[Model]:
    """Sort models so that each comes after those that it refers to. In a cycle any may be first."""
    ordered: dict[Model, None] = {}
    wanted = set(models)
    started: set[Model] = set()

    def visit(model: Model) -> None:
        if model in ordered or model in started:
            return
        started.add(model)
        for target in refers_to(model):
            if target in wanted:
                visit(target)
        ordered[model] = None

    for model in sorted(models, key=label):
        visit(model)
    return list(ordered)
