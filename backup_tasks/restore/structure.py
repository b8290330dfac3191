"""Keeps the structure of live: indexes, grants and triggers that no migration makes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

from backup_tasks.engines import Engine
from backup_tasks.errors import DoesNotFit

_NAMED = 5
"""How many differences a message names."""

CLONE = "clone"
"""The `made_by` of `reinit` for a clone of live's tables."""


def is_clone(results: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether the staging schema is a clone of live's tables."""
    return bool(results.get("reinit", {}).get("made_by") == CLONE)


def make_like_live(
    engine: Engine, schema: str, tables: Sequence[str], results: Mapping[str, Mapping[str, Any]]
) -> None:
    """Add to a clone what was added to live's tables since it was made.

    Raises DoesNotFit if they still differ. A staging schema that migrations built or changed is not
    compared.
    """
    if not results.get("validate", {}).get("like_live"):
        return
    engine.complete(schema, tables)
    if unequal := engine.differences(schema, tables):
        raise DoesNotFit(
            f"live's tables have changed since staging was made like them: {listed(unequal)}",
            obj=f"schema {schema}",
            hint="Live data was not touched. Start the run again.",
        )


def all_tables(connection: BaseDatabaseWrapper) -> list[str]:
    """Return the tables of live that staging has copies of: those of all models."""
    return connection.introspection.django_table_names(only_existing=True, include_views=False)


def can_not_be_cloned(alias: str, unequal: Sequence[str]) -> DoesNotFit:
    """Return the error for a clone that differs from live."""
    return DoesNotFit(
        "the structure of live's tables can't be cloned; what differs in the clone: "
        + listed(unequal),
        obj=f"database {alias}",
        hint="Live data was not touched. --rebuild builds the tables by the migrations instead: "
        "what somebody added to them by hand, such as indexes and grants, is lost then.",
    )


def listed(differences: Sequence[str]) -> str:
    """Return the first of the differences, and how many more there are."""
    more = f"; and {len(differences) - _NAMED} more" if len(differences) > _NAMED else ""
    return f"{'; '.join(differences[:_NAMED])}{more}"
