"""Keeps the structure of live: indexes, grants and triggers that no migration makes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import IntegrityError, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from backup_tasks.conf import BackupSettings
from backup_tasks.engines import Engine
from backup_tasks.errors import DoesNotFit
from backup_tasks.restore.unapplied import unapplied_migrations
from backup_tasks.rows import second_look
from backup_tasks.rows.natural_keys import Model
from backup_tasks.rows.scope import full_scope

_NAMED = 5
"""How many differences a message names."""

Results = Mapping[str, Mapping[str, Any]]
"""What the steps of a run returned, by name."""


def is_like_live(results: Results) -> bool:
    """Whether the schema that `reinit` made has the structure of live."""
    return bool(results.get("reinit", {}).get("like_live"))


def loaded_schema(results: Results) -> str:
    """Return the schema that `reinit` made for the rows of a package."""
    return str(results["reinit"]["schema"])


def is_taken_over(engine: Engine, params: Mapping[str, Any], settings: BackupSettings) -> bool:
    """Whether tables that migrations build are replaced by clones of live's, with their rows.

    Not for a merge, which replaces no table; not if `--rebuild` was given; and not if live has not
    all migrations: its structure is another one then.
    """
    return not (
        params.get("rebuild")
        or params.get("mode") == "merge"
        or engine.keeps_live_tables
        or unapplied_migrations(settings)
    )


def all_tables(connection: BaseDatabaseWrapper) -> list[str]:
    """Return the tables of live that staging has copies of: those of all models."""
    return connection.introspection.django_table_names(only_existing=True, include_views=False)


def clone(engine: Engine, schema: str, tables: Sequence[str]) -> None:
    """Make the schema a clone of these tables of live. Raises DoesNotFit."""
    if unequal := engine.clone(schema, tables):
        raise DoesNotFit(
            "the structure of live's tables can't be cloned; what differs in the clone: "
            + listed(unequal),
            obj=f"database {engine.alias}",
            hint="Live data was not touched. --rebuild builds the tables by the migrations "
            "instead: what somebody added to them by hand, such as indexes and grants, is lost "
            "then.",
        )


def take_over(
    engine: Engine, source: str, schema: str, *, tables: Sequence[str], models: Sequence[Model]
) -> list[str]:
    """Make `schema` a clone of live's `tables`, with the rows of `source`, which migrations built.
    Drop `source`; return why that could not be done.

    The sequences of the `models` stand where those of `source` do, and their rows are compared:
    what was proven lies in `source`, and what is promoted is the copy. Raises DoesNotFit for rows
    that live's tables refuse, or keep differently.
    """
    elsewhere = engine.tables_elsewhere(tables)  # of runs, sessions and results: they stay there
    tables = [name for name in tables if name not in elsewhere]
    clone(engine, schema, tables)
    with engine.at(source):
        numbers = engine.last_numbers(models)
    try:
        # An attempt of the load may come later, and has a number above 0.
        with engine.at(schema), engine.loading(tables, attempt=0):
            engine.copy_from_schema(source, tables)
    except IntegrityError as error:
        raise DoesNotFit(
            f"live's tables refuse rows that its migrations, or the seed, make: {error}",
            obj=f"database {engine.alias}",
            hint="Live data was not touched. Remove what was added to live's tables by hand; or "
            "--rebuild builds them by the migrations, without it.",
        ) from error
    copied = [model for model in models if model._meta.db_table in tables]
    _refuse_unequal_copy(engine, source, schema, copied)
    with engine.at(schema):
        engine.advance_sequences(models, numbers)
    engine.complete(schema, tables)
    return engine.discard(source)


def _refuse_unequal_copy(engine: Engine, source: str, schema: str, models: Sequence[Model]) -> None:
    """Raise DoesNotFit, naming tables and columns, if the database's own sums over the copied rows
    are not those of the rows that were copied."""
    with engine.at(source), transaction.atomic(engine.alias):
        here = connections[engine.alias]
        proven = [
            (second_look.take(here, model), second_look.types_of(here, model)) for model in models
        ]
    with engine.at(schema), transaction.atomic(engine.alias):
        here = connections[engine.alias]
        found = [
            f"table {model._meta.db_table}: {', '.join(columns)}"
            for model, (before, types) in zip(models, proven, strict=True)
            if (
                columns := second_look.unequal_copy(
                    before, second_look.take(here, model, read_as=types)
                )
            )
        ]
    if found:
        raise DoesNotFit(
            "live's tables do not keep the rows as those that its migrations make; what differs in "
            f"them: {listed(found)}",
            obj=f"database {engine.alias}",
            hint="Live data was not touched. Give the columns of live's tables the types that the "
            "migrations say; or --rebuild builds the tables by the migrations.",
        )


def make_like_live(
    engine: Engine,
    schema: str,
    tables: Sequence[str],
    results: Results,
    params: Mapping[str, Any],
) -> None:
    """Add to staging what was added to live's tables since its structure was taken over.

    Raises DoesNotFit if they still differ, and if a promote would lose something of live's that
    migrations don't make, unless `--rebuild` was given.
    """
    if results.get("validate", {}).get("like_live"):
        engine.complete(schema, tables)
        if unequal := engine.differences(schema, tables):
            raise DoesNotFit(
                "live's tables have changed since staging was made like them: " + listed(unequal),
                obj=f"schema {schema}",
                hint="Live data was not touched. Start the run again.",
            )
    elif not params.get("rebuild") and (missing := engine.missing_in(schema, tables)):
        raise DoesNotFit(
            "a promote would remove what was added to live's tables: " + listed(missing),
            obj=f"database {engine.alias}",
            hint="Live data was not touched. Live has not all migrations of this code: with "
            "`manage.py migrate` first, its structure is kept. Or --rebuild builds the tables by "
            "the migrations, and what somebody added to them by hand is lost.",
        )


def lost_by_rebuild(engine: Engine, schema: str, settings: BackupSettings) -> list[str]:
    """Return a warning that names what a promote of rebuilt tables would remove."""
    tables = [model._meta.db_table for model in full_scope(settings).included]
    if missing := engine.missing_in(schema, tables):
        told = "live's tables have what no migration makes, and the promoted ones have not"
        todo = "Write a migration for it, or make it again after a promote"
        return [f"{told}: {listed(missing, 2 * _NAMED)}. {todo}"]
    return []


def listed(differences: Sequence[str], most: int = _NAMED) -> str:
    """Return the first of the differences, and how many more there are."""
    more = f"; and {len(differences) - most} more" if len(differences) > most else ""
    return f"{'; '.join(differences[:most])}{more}"
