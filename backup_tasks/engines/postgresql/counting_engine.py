"""What PostgreSQL's engine does with sequences."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

from backup_tasks.engines.base import Engine
from backup_tasks.engines.postgresql import columns, counters
from backup_tasks.package.entries import SequenceEntry


class CountingEngine(Engine):
    """The part of the engine that reads and advances sequences."""

    _live_schema: str

    @property
    @abstractmethod
    def _current_schema(self) -> str:
        """The schema that the alias leads to."""

    def _last_number(self, table: str, column: str) -> int | None:
        return columns.last_number(self.live, self._current_schema, table, column)

    def sequences(self, tables: Sequence[str]) -> list[SequenceEntry]:
        with self.live.cursor() as cursor:
            return counters.read(cursor, self._current_schema, tables)

    def _advance(
        self, table: str, column: str, given: int, sequences: Sequence[SequenceEntry]
    ) -> None:
        with self.live.cursor() as cursor:
            counters.advance(cursor, self._current_schema, table, column, given, sequences)

    def advance_free_sequences(self, schema: str, sequences: Sequence[SequenceEntry]) -> None:
        with self.live.cursor() as cursor:
            live = self._live_schema
            counters.advance_free(cursor, live, schema or live, sequences)
