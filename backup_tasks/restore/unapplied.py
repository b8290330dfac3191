"""Migrations of this code that are not applied to live."""

from __future__ import annotations

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.migrations.executor import MigrationExecutor

from backup_tasks.conf import BackupSettings
from backup_tasks.errors import Misconfigured
from backup_tasks.rows.scope import full_scope

_NAMED = 5


def unapplied_migrations(settings: BackupSettings) -> list[str]:
    """Return the migrations of this code that are not applied to live, as `app.name`."""
    executor = MigrationExecutor(connections[settings.database])
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    return [f"{migration.app_label}.{migration.name}" for migration, _ in plan]


def refuse_unapplied(settings: BackupSettings) -> None:
    """Raise Misconfigured if live's tables lack columns that the models of this code have, and name
    the migrations that are not applied. Such tables can be neither backed up nor replaced.

    Unapplied migrations that add no column are accepted.
    """
    connection = connections[settings.database]
    unapplied = unapplied_migrations(settings)
    if not unapplied:
        return
    apps = {name.partition(".")[0] for name in unapplied}
    lacking = []
    with connection.cursor() as cursor:
        for model in full_scope(settings).included:
            if model._meta.app_label in apps:
                table = model._meta.db_table
                there = connection.introspection.get_table_description(cursor, table)
                columns = {str(field.column) for field in model._meta.local_concrete_fields}
                lacking += [
                    f"{table}.{name}" for name in sorted(columns - {each.name for each in there})
                ]
    if lacking:
        alias = settings.database
        which = "" if alias == DEFAULT_DB_ALIAS else f" --database {alias}"
        raise Misconfigured(
            f"live lacks columns that this code has: {_some(lacking)}. Migrations that are not "
            f"applied: {_some(unapplied)}",
            obj=f"database {alias}",
            hint=f"Run `manage.py migrate{which}` first, or use the code that live was migrated "
            "with.",
        )


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
