"""The translation: a SELECT of the package's rows with live's keys, by joins to the mapping
tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from backup_tasks.merge.dialect import Dialect
from backup_tasks.merge.mapped_models import MappedModel, refers_by_pk, target_of
from backup_tasks.merge.moved_keys import MovedKeys
from backup_tasks.rows.natural_keys import Model
from backup_tasks.rows.query import Field

KEPT = "('keep', 'mapped')"
"""Actions of rows for which live's row stays as it is."""


class Translation:
    """Translates the rows of one model."""

    def __init__(
        self,
        dialect: Dialect,
        mapped: MappedModel,
        mapped_models: Mapping[Model, MappedModel],
        moved: MovedKeys,
    ) -> None:
        self._dialect, self._mapped_model, self._mapped_models = dialect, mapped, mapped_models
        self._moved, self._key_columns = moved, moved.columns.get(mapped.model, {})

    def select(self) -> str:
        """Return the SELECT: the model's columns, and merge_p0…, merge_action and merge_conflict
        from the mapping table.

        The primary key is NULL where it is not decided yet.
        """
        quote, mapped = self._dialect.quote, self._mapped_model
        pairs = list(zip(mapped.pk, mapped.columns("p"), mapped.columns("t"), strict=True))
        own = {field: f"m.{target}" for field, _, target in pairs}
        columns = [f"m.{name} AS merge_{name}" for name in mapped.columns("p")]
        columns += ["m.action AS merge_action", "m.conflict AS merge_conflict"]
        on = " AND ".join(f"m.{package} = s.{quote(f.column)}" for f, package, _ in pairs)
        source = f"{self._dialect.staged(mapped.table)} s"
        source += f" JOIN {self._dialect.staged(mapped.mapping)} m ON {on}"
        for number, field in enumerate(mapped.written):
            sql, joins = (own[field], "") if field in own else self.value(field, f"f{number}")
            columns.append(f"{sql} AS {quote(field.column)}")
            source += joins
        return f"SELECT {', '.join(columns)} FROM {source}"

    def value(self, field: Field, alias: str) -> tuple[str, str]:
        """Return the SQL of the value that a field of row `s` has in live, and the joins for it."""
        dialect = self._dialect
        stored = f"s.{dialect.quote(field.column)}"
        other = self._mapped_models.get(cast(Model, target_of(field)))
        if self._moved.targets(field):
            new, joins = self._moved.translated(self._key_columns[field], "s", alias)
            return f"COALESCE({dialect.as_type(field, new)}, {stored})", joins
        if other is None:
            return stored, ""
        mapping = dialect.staged(other.mapping)
        if refers_by_pk(field):
            joins = f" LEFT JOIN {mapping} {alias} ON {alias}.p0 = {stored}"
            return f"CASE WHEN {alias}.p0 IS NULL THEN {stored} ELSE {alias}.t0 END", joins
        # The key holds another unique column: live's value if live's row stays, else the package's.
        pk, column = (dialect.quote(f.column) for f in (other.pk[0], cast(Any, field).target_field))
        joins = (
            f" LEFT JOIN {dialect.staged(other.table)} {alias}o ON {alias}o.{column} = {stored}"
            f" LEFT JOIN {mapping} {alias}m ON {alias}m.p0 = {alias}o.{pk}"
            f" AND {alias}m.action IN {KEPT}"
            f" LEFT JOIN {dialect.quote(other.table)} {alias} ON {alias}.{pk} = {alias}m.t0"
        )
        return f"CASE WHEN {alias}.{pk} IS NULL THEN {stored} ELSE {alias}.{column} END", joins

    def is_live_row(self, alias: str, row: str) -> str:
        """Return the condition that `alias` is live's row of the translated `row`."""
        pairs = (self._dialect.quote(field.column) for field in self._mapped_model.pk)
        return " AND ".join(f"{alias}.{column} = {row}.{column}" for column in pairs)

    def changed(self, row: str, alias: str) -> str:
        """Return the condition that a translated row and a row of live differ in a column."""
        quote = self._dialect.quote
        conditions = [
            self._dialect.differ(f, f"{row}.{quote(f.column)}", f"{alias}.{quote(f.column)}")
            for f in self._mapped_model.written
            if f not in self._mapped_model.pk
        ]
        return " OR ".join(conditions) or "1 = 0"
