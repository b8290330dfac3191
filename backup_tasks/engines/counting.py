"""The part of the contract of an engine that is about counters: no number is given twice."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence

from django.db.models import AutoField, Model

from backup_tasks.package.entries import SequenceEntry


class Counters(ABC):
    """What an engine does with sequences and other counters of its database."""

    def last_numbers(self, models: Iterable[type[Model]]) -> dict[str, int]:
        """Return, by table, the highest primary key that the database has given, also to a row that
        is gone. Tables without one are left out."""
        given = {
            model._meta.db_table: self._last_number(model._meta.db_table, pk.column)
            for model in models
            if isinstance(pk := model._meta.pk, AutoField)
        }
        return {table: number for table, number in given.items() if number and number > 0}

    @abstractmethod
    def _last_number(self, table: str, column: str) -> int | None:
        """Return that of one table."""

    def advance_sequences(
        self,
        models: Iterable[type[Model]],
        given: Mapping[str, int] | None = None,
        sequences: Sequence[SequenceEntry] = (),
    ) -> None:
        """Let no counter of the tables give a number that one of their rows has, that is in `given`
        (by table, of the primary key), or that one of the `sequences` of their columns has given; a
        counter that is further already stays (T9).

        Outside of `loading`: MariaDB would end its transaction.
        """
        for model in models:
            pk, table = model._meta.pk, model._meta.db_table
            column = pk.column if isinstance(pk, AutoField) else ""
            self._advance(table, column, (given or {}).get(table, 0), sequences)

    @abstractmethod
    def _advance(
        self, table: str, column: str, given: int, sequences: Sequence[SequenceEntry]
    ) -> None:
        """Advance the counters of one table. `column`: the primary key that has one, or ""."""

    def sequences(self, tables: Sequence[str]) -> list[SequenceEntry]:
        """Return the sequences of the tables' columns, and those that no column owns. Nothing where
        the database has none."""
        return []

    def advance_free_sequences(  # noqa: B027 - some databases have none
        self, schema: str, sequences: Sequence[SequenceEntry]
    ) -> None:
        """Let no sequence of live that no column owns give a number that one of the `sequences` has
        given, or that a row in the schema ("": in live) has whose column draws from it."""
