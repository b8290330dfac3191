"""Writes the translated rows to live's tables: changed ones first, then new ones."""

from __future__ import annotations

from backup_tasks.merge.dialect import Ground
from backup_tasks.merge.mapped_models import Joined
from backup_tasks.merge.translation import Translation


def write(ground: Ground, joined: Joined, rows: Translation) -> None:
    """Update and insert, in two statements. Raises django.db errors."""
    table, quote = ground.quote(joined.table), ground.quote
    columns = [quote(field.column) for field in joined.written]
    changing = [quote(field.column) for field in joined.written if field not in joined.pk]
    if changing:
        values = ", ".join(f"{column} = x.{column}" for column in changing)
        ground.run(
            f"UPDATE {table} SET {values} FROM ({rows.select()}) x"
            f" WHERE {rows.live(table, 'x')} AND x.merge_action = 'update'"
        )
    listed = ", ".join(columns)
    ground.run(
        f"INSERT INTO {table} ({listed}) {ground.overriding}"
        f"SELECT {listed} FROM ({rows.select()}) x WHERE x.merge_action = 'insert'"
    )
