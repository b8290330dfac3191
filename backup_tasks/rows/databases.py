"""Which database of the project holds which model, and which databases are in no package.

The routers decide where tables are (`allow_migrate`); where they let rows be read from
(`db_for_read`) is a hint for queries, not a place. An alias of the same database counts as the
database itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, InterfaceError, connections, router

from backup_tasks.engines import require_database
from backup_tasks.engines.aliases import aliases_of, lead_to_one_database
from backup_tasks.error_classification import explain
from backup_tasks.errors import BackupError
from backup_tasks.rows.natural_keys import Model

_NAMED = 5
_NOT_ASKED = (
    BackupError,
    DatabaseError,
    InterfaceError,
    ImproperlyConfigured,
    ImportError,
)
"""Raised where a database does not answer, is of a kind that is not supported, or has no driver."""


def lives_in(alias: str, model: Model) -> bool:
    """Whether the routers let migrations make the model's table in the alias's database."""
    return any(router.allow_migrate_model(each, model) for each in aliases_of(alias))


def other_aliases(alias: str) -> list[str]:
    """Return one alias of each other database, as far as the settings tell."""
    seen = set(aliases_of(alias))
    others = []
    for other in connections:
        if other not in seen:
            seen.update(aliases_of(other))
            others.append(other)
    return others


def left_out(alias: str, models: Sequence[Model]) -> Iterator[str]:
    """Yield a warning for each database of the project but the alias's: which of the models have
    rows there, or that it does not answer."""
    for other in other_aliases(alias):
        try:
            require_database(other)
            if lead_to_one_database(alias, other):
                continue
            names = _with_rows(other, models)
        except _NOT_ASKED as error:
            yield (
                f"database {other} is in no package, and whether it has rows is not known: "
                f"{explain(error)}"
            )
            continue
        if names:
            yield f"database {other} is in no package; it has rows of {listed(names)}"


def listed(names: Sequence[str]) -> str:
    """Return the first of the names, and how many more there are."""
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _with_rows(alias: str, models: Sequence[Model]) -> list[str]:
    connection = connections[alias]
    quote = connection.ops.quote_name
    found = []
    with connection.cursor() as cursor:
        tables = set(connection.introspection.table_names(cursor))
        for model in models:
            if model._meta.db_table in tables and lives_in(alias, model):
                cursor.execute(f"SELECT 1 FROM {quote(model._meta.db_table)} LIMIT 1")
                if cursor.fetchone():
                    found.append(model._meta.label_lower)
    return sorted(found)
