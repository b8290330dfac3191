"""Publications that name tables which a promote replaces.

The rows of the new tables are not sent to subscribers: they keep the old ones, and get what is
written after the promote. So nobody's replication is changed unless it is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import DatabaseError, InterfaceError

from backup_tasks.conf import backup_settings
from backup_tasks.engines import Engine, engine_for
from backup_tasks.errors import BackupError, DoesNotFit
from backup_tasks.package.names import in_database
from backup_tasks.rows.databases import each_database, further_alias
from backup_tasks.rows.scope import full_scope

_ON_SUBSCRIBERS = (
    "Subscribers still have the old rows, and what is written now may not fit to them. On each: "
    "DROP SUBSCRIPTION, TRUNCATE its tables, and CREATE SUBSCRIPTION again, which copies them. "
    "ALTER SUBSCRIPTION … REFRESH PUBLICATION is not enough: it copies only tables that the "
    "subscriber did not have"
)


def refuse_unless_asked(engine: Engine, tables: Sequence[str], params: Mapping[str, Any]) -> None:
    """Raise DoesNotFit, naming the publications, if the run was not asked to go on with them."""
    if params.get("republish"):
        return
    if found := engine.publications(tables):
        raise DoesNotFit(
            "tables would be replaced that publications name, and subscribers would not get the "
            f"new rows: {', '.join(found)}",
            obj=f"publication {found[0]}",
            hint="Live data was not touched. With --republish the publication names the new "
            "tables, and the run says what each subscriber has to do then.",
        )


def to_refresh(engine: Engine, tables: Sequence[str]) -> list[str]:
    """Return a warning that says what subscribers have to do after a promote of the tables."""
    if not (found := engine.publications(tables)):
        return []
    return [f"publications name the new tables: {', '.join(found)}. {_ON_SUBSCRIBERS}"]


def of_live() -> list[str]:
    """Return the publications that name the tables of live's models, of all databases that are
    backed up, and with the alias where it is a further one; none where nobody can say."""
    found: list[str] = []
    for each in each_database(backup_settings()):
        try:
            tables = [model._meta.db_table for model in full_scope(each).included]
            names = engine_for(each.database).publications(tables)
        except (BackupError, DatabaseError, InterfaceError):
            continue  # the run says why
        found += [in_database(further_alias(each), name) for name in names]
    return found
