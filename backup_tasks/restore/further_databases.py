"""The further databases of a promote or an undo: promoted one after the other, after the first.

The first database's transaction writes the UndoPoint, which names them. Each is then promoted in a
transaction of its own and entered as done. A process may die between the two, so the next attempt
asks the database whether it has been promoted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypedDict, cast

from django.db import DatabaseError, InterfaceError, connections, transaction

from backup_tasks.conf import BackupSettings, backup_settings
from backup_tasks.engines import Engine, engine_for
from backup_tasks.error_classification import explain
from backup_tasks.errors import (
    BackupError,
    Cancelled,
    HandoverChanged,
    LeaseLost,
    Misconfigured,
    NothingToUndo,
)
from backup_tasks.models import UndoPoint
from backup_tasks.restore import publications, views_and_publications
from backup_tasks.rows.natural_keys import Model


class Further(TypedDict):
    """A further database, in `UndoPoint.databases`."""

    alias: str
    source: str
    """Schema with the tables that become live's."""
    schema: str
    """Schema that gets live's tables."""
    tables: list[str]
    apps: list[str]
    done: bool
    """Whether it is known to be promoted."""


def of_staging(run_id: str, models: Sequence[Model], settings: BackupSettings) -> Further:
    """Return the entry of a database whose staging is to be promoted."""
    engine = engine_for(settings.database)
    return Further(
        alias=settings.database,
        source=engine.schema_name("staging", run_id),
        schema=engine.schema_name("undo", run_id),
        tables=sorted(model._meta.db_table for model in models),
        apps=sorted({model._meta.app_label for model in models}),
        done=False,
    )


def of_undo(run_id: str, undone: UndoPoint, params: Mapping[str, Any]) -> list[Further]:
    """Return the entries of an undo: of the databases that the undone run has promoted.

    Raises NothingToUndo if what it kept of one is gone, DoesNotFit for publications.
    """
    found = []
    for entry in of(undone):
        engine = _engine(entry)
        if not entry["done"]:
            continue
        if entry["schema"] not in engine.schemas():
            raise NothingToUndo(
                f"what was kept of database {entry['alias']} is gone",
                obj=entry["schema"],
                hint="Restore a package instead; list_packages shows safety packages too.",
            )
        publications.refuse_unless_asked(engine, entry["tables"], params)
        keep = engine.schema_name("undo", run_id)
        found.append(Further(**{**entry, "source": entry["schema"], "schema": keep, "done": False}))
    return found


def of(point: UndoPoint) -> list[Further]:
    """Return the further databases of an undo point."""
    return cast("list[Further]", point.databases)


def settle(point: UndoPoint, still_mine: Callable[[], None]) -> None:
    """Enter which of the databases have been promoted although nobody could enter it."""
    for entry in of(point):
        if not entry["done"] and _engine(entry).has_promoted(entry["schema"]):
            _enter(point, entry, still_mine)


def promote(point: UndoPoint, still_mine: Callable[[], None]) -> None:
    """Promote the databases that are not promoted yet, in their order.

    A second call is fine. An error says which databases are promoted, and what can be done.
    """
    for entry in of(point):
        try:
            _promote(point, entry, still_mine)
        except (BackupError, DatabaseError, InterfaceError) as raised:
            error = explain(raised)
            if not isinstance(error, LeaseLost | Cancelled):
                error.within(f"database {entry['alias']}").advise(_what_now(point))
            raise error from raised


def _promote(point: UndoPoint, entry: Further, still_mine: Callable[[], None]) -> None:
    engine, keep = _engine(entry), entry["schema"]

    def record() -> None:
        still_mine()
        if engine.has_promoted(keep) and not engine.in_doubt(keep):
            raise HandoverChanged("another attempt has promoted it", obj=keep)
        engine.mark_promoted(keep)

    if not entry["done"]:
        if engine.in_doubt(keep) or not engine.has_promoted(keep):
            tables, apps = entry["tables"], entry["apps"]
            engine.promote(entry["source"], tables=tables, apps=apps, keep=keep, record=record)
        _enter(point, entry, still_mine)
    engine.forget_promoted(keep)


def _enter(point: UndoPoint, entry: Further, still_mine: Callable[[], None]) -> None:
    entry["done"] = True
    with transaction.atomic(using=backup_settings().database):
        still_mine()
        UndoPoint.objects.filter(pk=point.pk).update(databases=point.databases)


def _what_now(point: UndoPoint) -> str:
    first = [backup_settings().database] if point.tables else []
    done = [*first, *(each["alias"] for each in of(point) if each["done"])]
    others = [each["alias"] for each in of(point) if not each["done"]]
    undo = "" if point.undoes else "; `undo_restore --confirm` brings the old state of all back"
    return (
        f"Replaced are: {', '.join(done) or 'none'}; not yet: {', '.join(others)}. "
        f"`resume_run {point.pk}` goes on{undo}."
    )


def to_refresh(point: UndoPoint) -> list[str]:
    """Return what `views_and_publications.follow` says of the databases."""
    return [
        line
        for entry in of(point)
        for line in views_and_publications.follow(_engine(entry), entry["tables"])
    ]


def is_unfinished(point: UndoPoint) -> bool:
    """Whether a database of the undo point is not known to be promoted."""
    return not all(entry["done"] for entry in of(point))


def schemas(alias: str) -> set[str]:
    """Return the schemas of a further database that undo points need: what was kept, and what is
    still to be promoted."""
    entries = [
        entry
        for databases in UndoPoint.objects.values_list("databases", flat=True)
        for entry in cast("list[Further]", databases)
        if entry["alias"] == alias
    ]
    return {entry["schema"] for entry in entries} | {
        entry["source"] for entry in entries if not entry["done"]
    }


def discard(point: UndoPoint) -> list[str]:
    """Drop what was kept of the databases, and what is left of what was promoted. Return why
    something could not be dropped."""
    told: list[str] = []
    for entry in of(point):
        engine = _engine(entry)
        names = [entry["schema"], entry["source"]]
        told += [line for name in names for line in engine.discard(name)]
    return told


def _engine(entry: Further) -> Engine:
    if entry["alias"] not in connections:
        raise Misconfigured(
            "the run replaced tables of this database, and DATABASES does not name it any more",
            obj=f"database {entry['alias']}",
            hint="Name it again, under the same alias, until the run is finished or undone.",
        )
    return engine_for(entry["alias"])
