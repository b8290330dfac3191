"""Models whose table is not where the database keeps those of migrations, or is not listed.

A model that was never migrated here has no rows: it is left out, with that reason. But a table may
also be in another schema (`db_table = 'audit"."entry'`), or be of a kind that is not listed (a
view, a partition). Its rows would be left out by accident, so it is an error. Of a search path
with several schemas, one is replaced by a restore: a table that is listed in another one is an
error too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from django.db import DatabaseError, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.state import ProjectState

from backup_tasks.engines import Engine, engine_for
from backup_tasks.errors import Misconfigured
from backup_tasks.rows.natural_keys import Model


def refuse_rows_left_out(connection: BaseDatabaseWrapper, models: Sequence[Model]) -> None:
    """Raise Misconfigured, naming each of the models that has a table or should have one.

    The models are those whose table is not listed.
    """
    if not models:
        return
    loader = MigrationLoader(connection, ignore_no_migrations=True)
    applied = [key for key in loader.applied_migrations if key in loader.graph.nodes]
    state = loader.project_state(applied)
    problems = [
        f"{model._meta.label_lower} (table {model._meta.db_table})"
        for model in models
        if _is_migrated(model, state) or _is_readable(connection, model)
    ]
    if problems:
        raise Misconfigured(
            "the database does not list the tables of these models, so their rows would not be "
            f"in a backup: {', '.join(problems)}",
            obj=f"database {connection.alias}",
            hint="A table of another schema, a view, a partition and a system-versioned table "
            "can't be backed up by their model. Name the models in BACKUP['EXCLUDE'] if something "
            "else keeps their rows; or run `manage.py migrate` if a table is missing.",
        )


def refuse_tables_elsewhere(engine: Engine, models: Sequence[Model]) -> None:
    """Raise Misconfigured, naming the models whose table is in another schema than
    `django_migrations`: a restore would not replace it."""
    elsewhere = engine.tables_elsewhere([model._meta.db_table for model in models])
    names = [
        f"{model._meta.label_lower} (table {elsewhere[model._meta.db_table]})"
        for model in models
        if model._meta.db_table in elsewhere
    ]
    if names:
        raise Misconfigured(
            "the tables of these models are in another schema than django_migrations, and a "
            f"restore replaces the tables of one schema: {', '.join(names)}",
            obj=f"database {engine.alias}",
            hint="Move them there: ALTER TABLE … SET SCHEMA. Or name the models in "
            "BACKUP['EXCLUDE'] if something else keeps their rows. `migrate` makes tables in the "
            "first schema of search_path: let django_migrations be in that one.",
        )


def _is_migrated(model: Model, state: ProjectState) -> bool:
    """Whether the migrations that were applied made the table."""
    meta = model._meta
    owner = cast(Model, meta.auto_created or model)
    known = state.models.get((owner._meta.app_label, str(owner._meta.model_name)))
    if known is None:
        return False
    if owner is not model:
        names = {
            field.name
            for field in owner._meta.local_many_to_many
            if field.remote_field.through is model
        }
        return not names.isdisjoint(known.fields)
    default = f"{meta.app_label}_{meta.model_name}"
    return bool(known.options.get("db_table", default) == meta.db_table)


def _is_readable(connection: BaseDatabaseWrapper, model: Model) -> bool:
    """Whether a query finds a table by that name all the same."""
    table = connection.ops.quote_name(model._meta.db_table)
    if connection.vendor == "postgresql":
        return _is_in_catalogue(connection, model._meta.db_table, table)
    try:
        with transaction.atomic(connection.alias), connection.cursor() as cursor:
            cursor.execute(f"SELECT 1 FROM {table} WHERE 1 = 0")
    except DatabaseError:
        return False
    return True


def _is_in_catalogue(connection: BaseDatabaseWrapper, table: str, quoted: str) -> bool:
    """Whether PostgreSQL has such a table in the schema that the alias leads to, or in the one that
    the name gives. Staging may have live's schema in its search path: that does not count."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass(%s) IS NOT NULL", [quoted])
        (exists,) = cursor.fetchone()
    if '"."' in table:
        return bool(exists)
    return bool(exists) and not engine_for(connection.alias).tables_elsewhere([table])
