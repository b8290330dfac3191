"""The rehearsal of a promote on PostgreSQL: the swap's own statements, against a stand-in for
live."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from django.db import DatabaseError, connections, transaction

from backup_tasks.engines.postgresql import foreign_keys, schema_objects, swap
from backup_tasks.engines.postgresql.stand_in import StandIn
from backup_tasks.engines.stopped_client import bounded_transaction
from backup_tasks.errors import DoesNotFit

_OUT_OF_MEMORY = "53200"
"""SQLSTATE out_of_memory: the lock table is full."""
_REFUSED = ("0A", "22", "23", "2B", "42", "55000", "55006", "P0", _OUT_OF_MEMORY)
"""What the server would say of a promote too. Source: PostgreSQL documentation, appendix A."""


class Rehearsal:
    """The rehearsal of one promote."""

    def __init__(
        self, alias: str, live: str, schema: str, stand_in: str, tables: Sequence[str]
    ) -> None:
        self._alias, self._live, self._schema = alias, live, schema
        self._stand_in, self._tables = StandIn(live, stand_in, tables), tables

    def refuse_unfit(self) -> None:
        """Raise what a promote would refuse because of live's rows and objects. Reads only."""
        with self._transaction() as cursor:
            swap.refuse_unfit(cursor, self._live, self._schema, self._tables)
            foreign_keys.refuse_dangling(cursor, self._live, self._schema, self._tables)
            schema_objects.refuse_users_of_replaced(cursor, self._live, self._schema, self._tables)

    def make_stand_in(self) -> None:
        """Fill the schema that stands in for live, which is empty. Live is locked for that time as
        a SELECT locks it."""
        with self._transaction() as cursor:
            self._stand_in.fill(cursor, self._schema)

    def swap(self, apps: Sequence[str], keep: str, comment: str) -> None:
        """Prepare staging as a promote does, swap, and roll the swap back. Raises DoesNotFit."""
        with self._refusals():
            with self._transaction() as cursor:
                swap.prepare(self._alias, cursor, self._live, self._schema, self._tables)
            with self._transaction() as cursor:
                swap.create_schema(cursor, keep, comment)
                stand_in = self._stand_in.schema
                swap.swap(
                    cursor,
                    stand_in,
                    self._schema,
                    self._tables,
                    apps=apps,
                    keep=keep,
                    when_locked=lambda: None,  # nobody knows of the stand-in
                )
                transaction.set_rollback(True, self._alias)

    @contextmanager
    def _transaction(self) -> Iterator[Any]:
        with bounded_transaction(self._alias), connections[self._alias].cursor() as cursor:
            yield cursor

    @contextmanager
    def _refusals(self) -> Iterator[None]:
        """Inside, what the server refuses is raised as DoesNotFit, with the names of live."""
        try:
            yield
        except DoesNotFit as error:
            raise DoesNotFit(
                self._stand_in.as_in_live(error.what),
                obj=self._stand_in.as_in_live(error.obj),
                hint=error.hint,
            ) from error
        except DatabaseError as error:
            state = getattr(error.__cause__, "sqlstate", None) or ""
            if not state.startswith(_REFUSED):
                raise
            hint = "Remove what the message names, or give the database's role what it lacks."
            if state == _OUT_OF_MEMORY:
                hint = "Set max_locks_per_transaction of the server higher, and restart it."
            raise DoesNotFit(
                f"a promote would be refused: {self._stand_in.as_in_live(str(error)).strip()}",
                obj=f"schema {self._live}",
                hint=f"Live data was not touched. {hint}",
            ) from error
