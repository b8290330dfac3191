"""Which database of the project holds which model, and which databases are in no package.

The routers decide where tables are (`allow_migrate`); where they let rows be read from
(`db_for_read`) is a hint for queries, not a place. An alias of the same database counts as the
database itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any, cast

from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, InterfaceError, connections, models, router

from backup_tasks.conf import BackupSettings
from backup_tasks.engines import require_database
from backup_tasks.engines.aliases import aliases_of, lead_to_one_database
from backup_tasks.error_classification import explain
from backup_tasks.errors import BackupError, Misconfigured
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


def each_database(settings: BackupSettings) -> list[BackupSettings]:
    """Return the settings of each database that is backed up, the ledger's first: the same but for
    `database`. An alias of a database that another alias before it leads to is left out."""
    found: list[BackupSettings] = []
    for alias in settings.databases or (settings.database,):
        if not any(alias in aliases_of(before.database) for before in found):
            found.append(replace(settings, database=alias))
    return found


def further_alias(settings: BackupSettings) -> str:
    """Return the alias of a further database of `each_database`, "" for the first: its name in
    packages, results and messages."""
    first = (settings.databases or (settings.database,))[0]
    return "" if settings.database == first else settings.database


def refuse_one_database_twice(settings: BackupSettings) -> None:
    """Raise Misconfigured if the servers say that two of the databases are one. Raises django.db
    errors."""
    for one, other in combinations(each_database(settings), 2):
        if lead_to_one_database(one.database, other.database):
            raise Misconfigured(
                f"{one.database} and {other.database} lead to one database",
                obj="BACKUP['DATABASES']",
                hint="Name one of the two.",
            )


def lives_in(alias: str, model: Model) -> bool:
    """Whether the routers let migrations make the model's table in the alias's database."""
    return any(router.allow_migrate_model(each, model) for each in aliases_of(alias))


def refers_elsewhere(alias: str, field: models.Field[Any, Any]) -> bool:
    """Whether a foreign key of a model of this database refers to a model of another database: then
    no query of this one can follow it."""
    target = field.related_model if field.is_relation else None
    return target is not None and not lives_in(alias, cast(Model, target))


def other_aliases(settings: BackupSettings) -> list[str]:
    """Return one alias of each database that is not backed up, as far as the settings tell."""
    seen = {name for each in each_database(settings) for name in aliases_of(each.database)}
    others = []
    for other in connections:
        if other not in seen:
            seen.update(aliases_of(other))
            others.append(other)
    return others


def left_out(settings: BackupSettings, candidates: Sequence[Model]) -> Iterator[str]:
    """Yield a warning for each database of the project that is not backed up: which of the models
    have rows there, or that it does not answer."""
    backed_up = [each.database for each in each_database(settings)]
    for other in other_aliases(settings):
        try:
            require_database(other)
            if any(lead_to_one_database(alias, other) for alias in backed_up):
                continue
            names = _with_rows(other, candidates)
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


def _with_rows(alias: str, candidates: Sequence[Model]) -> list[str]:
    connection = connections[alias]
    quote = connection.ops.quote_name
    found = []
    with connection.cursor() as cursor:
        tables = set(connection.introspection.table_names(cursor))
        for model in candidates:
            if model._meta.db_table in tables and lives_in(alias, model):
                cursor.execute(f"SELECT 1 FROM {quote(model._meta.db_table)} LIMIT 1")
                if cursor.fetchone():
                    found.append(model._meta.label_lower)
    return sorted(found)
