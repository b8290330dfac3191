"""Virtual tables over the tables that are replaced: full-text indexes and R-trees.

They do not follow when the rows of a table are replaced (T29). There are two ways to keep them:

- A full-text table with external content (`content='note'`) is rebuilt from that table.
- Any other virtual table that triggers fill is filled by them again: they fire for the rows that
  are deleted and inserted.
- One that is the table of a model, and stores its rows itself, gets the model's rows as any table.

Others are refused. SQLite's authorizer tells which trigger writes to which table.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import DatabaseError
from django.db.backends.base.base import BaseDatabaseWrapper

from backup_tasks.engines.base import quoted
from backup_tasks.engines.sqlite.schema import SchemaObject, objects
from backup_tasks.errors import ValidationFailed

_WRITES = (sqlite3.SQLITE_INSERT, sqlite3.SQLITE_UPDATE, sqlite3.SQLITE_DELETE)
_EVENTS = {
    "INSERT": "EXPLAIN INSERT INTO {} DEFAULT VALUES",
    "DELETE": "EXPLAIN DELETE FROM {}",
}
_REMEDY = "Drop the virtual table and its triggers, run this again, then create and fill them anew"
REMEDY = f"{_REMEDY}; or let it index the table by content='…'."
_TREES = ("rtree", "rtree_i32")


@dataclass(kw_only=True)
class _Trigger:
    """What a trigger does when a row is inserted or deleted."""

    table: str
    events: set[str] = field(default_factory=set)
    writes: set[str] = field(default_factory=set)
    reads: set[str] = field(default_factory=set)


class VirtualTables:
    """The virtual tables that depend on some tables of a file."""

    def __init__(self, connection: BaseDatabaseWrapper, tables: Collection[str]) -> None:
        """`connection` leads to the file. Its authorizer is replaced, so nobody else may use it."""
        with connection.cursor() as cursor:
            self._objects = {each.name: each for each in objects(cursor)}
        self._tables = tables
        self._broken: list[str] = []
        self._triggers: dict[str, _Trigger] = {}
        firing = {
            each.table for each in self._objects.values() if each.kind == "trigger"
        }.intersection(tables)
        for table in sorted(firing) if self._own_rows() else ():
            for event in _EVENTS:
                self._watch(connection, table, event)

    def _own_rows(self) -> list[SchemaObject]:
        """Return the virtual tables whose rows can't be rebuilt from a table, but a model's."""
        return [
            each
            for each in self._objects.values()
            if each.holds_rows and not each.content and each.name not in self._tables
        ]

    def _watch(self, connection: BaseDatabaseWrapper, table: str, event: str) -> None:
        """Find out by EXPLAIN what the table's triggers do at the event."""
        mine = {each.name for each in self._objects.values() if each.kind == "trigger"}

        def authorize(action: int, target: str | None, _: object, *where: str | None) -> int:
            _, trigger = where
            if trigger in mine and target and self._objects[trigger].table == table:
                seen = self._triggers.setdefault(trigger, _Trigger(table=table))
                seen.events.add(event)
                if action in _WRITES:
                    seen.writes.add(target)
                elif action == sqlite3.SQLITE_READ:
                    seen.reads.add(target)
            return sqlite3.SQLITE_OK

        connection.ensure_connection()
        connection.connection.set_authorizer(authorize)
        try:
            with connection.cursor() as cursor:
                cursor.execute(_EVENTS[event].format(quoted(table)))
        except DatabaseError as error:
            self._broken.append(f"a trigger of table {table} can't be executed: {error}")
        finally:
            connection.connection.set_authorizer(None)

    def _is_filled(self, name: str) -> bool:
        """Whether it is a virtual table that only triggers can fill."""
        return name in self._objects and self._objects[name] in self._own_rows()

    @property
    def filling(self) -> set[str]:
        """The triggers that fire while rows are replaced."""
        return {
            name
            for name, trigger in self._triggers.items()
            if any(map(self._is_filled, trigger.writes))
        }

    @property
    def filled_from(self) -> list[str]:
        """The tables of these triggers."""
        return sorted({self._triggers[name].table for name in self.filling})

    def keeps_rows_of_its_own(self, each: SchemaObject) -> bool:
        """Whether it is a virtual table whose rows come neither from a table nor from triggers."""
        return each.holds_rows and not each.content and each.name not in self._filled

    @property
    def _filled(self) -> dict[str, dict[str, set[str]]]:
        """Virtual table → table whose triggers fill it → events of these triggers."""
        found: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
        for name in self.filling:
            trigger = self._triggers[name]
            for target in filter(self._is_filled, trigger.writes):
                found[target][trigger.table] |= trigger.events
        return found

    def unfit(self) -> Iterator[str]:
        """Yield what can't be kept, in words."""
        yield from self._broken
        for each in self._objects.values():
            if not each.is_known:
                yield f"virtual table {each.name} is of an unknown kind, {each.module}"
            elif each in self._of_models() and not each.stores_values:
                yield (
                    f"a model has the virtual table {each.name} ({each.module}) as its table, "
                    "which stores no values of its own"
                )
        for name in sorted(self.filling):
            trigger = self._triggers[name]
            virtual = {target for target in trigger.writes if self._is_virtual(target)}
            if others := trigger.writes - virtual:
                yield (
                    f"trigger {name} of table {trigger.table} writes into {_names(virtual)} and "
                    f"into {_names(others)}: it can neither fire nor be kept from it"
                )
            if others := trigger.reads - trigger.writes - {trigger.table}:
                yield (
                    f"trigger {name} of table {trigger.table}, which fills {_names(virtual)}, "
                    f"reads {_names(others)}: what it would find there during a restore is not "
                    "certain"
                )
        for target, by_table in sorted(self._filled.items()):
            for table, events in by_table.items():
                if missing := _EVENTS.keys() - events:
                    yield (
                        f"virtual table {target} is filled by triggers of table {table}, but not "
                        f"at {_names(missing)}"
                    )

    def _of_models(self) -> list[SchemaObject]:
        return [self._objects[name] for name in self._tables if self._is_virtual(name)]

    def _is_virtual(self, name: str) -> bool:
        return name in self._objects and bool(self._objects[name].module)

    def _to_rebuild(self) -> list[SchemaObject]:
        """Return the full-text tables with one of the tables, or a view, as external content."""
        contents = {name for name in self._tables if name in self._objects}
        contents |= {each.name for each in self._objects.values() if each.kind == "view"}
        return [each for each in self._objects.values() if each.content in contents]

    def rebuild(self, cursor: Any) -> None:
        """Rebuild those with external content, and check all. Raises ValidationFailed."""
        rebuilt = self._to_rebuild()
        for each in rebuilt:
            name = quoted(each.name)
            cursor.execute(f"INSERT INTO main.{name} ({name}) VALUES ('rebuild')")
        filled = [self._objects[name] for name in self._filled]
        for each in [*rebuilt, *filled, *self._of_models()]:
            _prove(cursor, each)


def _prove(cursor: Any, each: SchemaObject) -> None:
    name = quoted(each.name)
    problem = ""
    if each.module in _TREES:
        cursor.execute("SELECT rtreecheck('main', %s)", [each.name])
        (told,) = cursor.fetchone()
        problem = "" if told == "ok" else str(told)
    elif each.is_full_text:
        try:
            cursor.execute(f"INSERT INTO main.{name} ({name}) VALUES ('integrity-check')")
        except DatabaseError as error:
            problem = str(error)
    if problem:
        raise ValidationFailed(
            f"the virtual table {each.name} does not fit the new rows: {problem}",
            obj=f"table {each.name}",
            hint=f"Live data was not touched. {_REMEDY}.",
        )


def _names(found: Collection[str] | Sequence[str]) -> str:
    return ", ".join(sorted(found))
