"""Writes the translated rows to live's tables: updates first, then inserts."""

from __future__ import annotations

from backup_tasks.merge.dialect import Dialect
from backup_tasks.merge.mapped_models import MappedModel
from backup_tasks.merge.translation import Translation


def write(dialect: Dialect, mapped: MappedModel, rows: Translation) -> None:
    """Update and insert the rows of a model with one statement each. Raises django.db errors."""
    table, quote = dialect.quote(mapped.table), dialect.quote
    columns = [quote(field.column) for field in mapped.written]
    changing = [quote(field.column) for field in mapped.written if field not in mapped.pk]
    if changing:
        select = f"SELECT u.* FROM ({rows.select()}) u WHERE u.merge_action = 'update'"
        dialect.update(table, changing, select, rows.is_live_row(table, "x"))
    listed = ", ".join(columns)
    dialect.run(
        f"INSERT INTO {table} ({listed}) {dialect.overriding}"
        f"SELECT {listed} FROM ({rows.select()}) x WHERE x.merge_action = 'insert'"
    )
