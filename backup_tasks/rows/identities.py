"""Decides which identity each model has, given the rows of this database.

A declared natural key counts only if it is unique: by a constraint of the database, or in the rows.
Otherwise the primary key is the identity, and a warning says so (T20).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import cast

from django.db.backends.base.base import BaseDatabaseWrapper

from backup_tasks.rows.databases import lives_in
from backup_tasks.rows.natural_keys import Identity, Model, identity_of, is_unique_by_constraint
from backup_tasks.rows.query import key_query
from backup_tasks.rows.scope import refers_to


def settled_identities(
    connection: BaseDatabaseWrapper,
    models: Sequence[Model],
    configured: Mapping[str, Sequence[str]],
) -> tuple[dict[Model, Identity], tuple[str, ...]]:
    """Return the identity of each model, and a warning for each natural key that is not unique.

    Models that the given ones refer to are included.
    """
    alias = connection.alias
    settled = {
        model: identity_in(alias, model, configured) for model in _with_referenced_models(models)
    }
    warnings = [
        f"{model._meta.label_lower}: its natural key leads to a table of another database; the "
        "primary key is used instead"
        for model in models
        if not settled[model].paths and identity_of(model, configured).paths
    ]
    proven: set[Model] = set()
    for model in models:
        identity = settled[model]
        if not identity.loadable:
            continue
        if is_unique_by_constraint(model, identity.paths, proven):
            proven.add(model)
        elif example := _duplicate_key(connection, model, identity):
            settled[model] = Identity()
            warnings.append(
                f"{model._meta.label_lower}: its natural key ({', '.join(identity.paths)}) is not "
                f"unique, {example!r} for one; the primary key is used instead"
            )
        else:
            proven.add(model)
    return settled, tuple(warnings)


def identity_in(alias: str, model: Model, configured: Mapping[str, Sequence[str]]) -> Identity:
    """Return the identity of a model in one database: the primary key if the model, or a model that
    its natural key leads to, is in another database, which no query of this one reaches."""
    found = identity_of(model, configured)
    reached = all(
        lives_in(alias, each) for path in found.paths for each in _models_along(model, path)
    )
    return found if reached and lives_in(alias, model) else Identity()


def _models_along(model: Model, path: str) -> Iterator[Model]:
    for name in path.split("__")[:-1]:
        model = cast(Model, model._meta.get_field(name).related_model)
        yield model


def _with_referenced_models(models: Iterable[Model]) -> list[Model]:
    found = dict.fromkeys(models)
    for model in list(found):
        found.update(dict.fromkeys(refers_to(model)))
    return list(found)


def _duplicate_key(
    connection: BaseDatabaseWrapper, model: Model, identity: Identity
) -> tuple[object, ...] | None:
    """Return a key that several rows have; None if there is none."""
    columns, source = key_query(model, identity.paths, connection)
    keys = ", ".join(columns)
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {keys} FROM {source} GROUP BY {keys} HAVING count(*) > 1 LIMIT 1")
        found = cursor.fetchone()
    return tuple(found) if found else None
