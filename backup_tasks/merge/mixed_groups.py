"""Mixed groups: rows of the package and rows of the target in one column group, whose values mean
something only together. No policy decides these: neither side's numbers are right for both."""

from __future__ import annotations

from collections.abc import Iterator

from backup_tasks.merge.conflicts import MAX_EXAMPLES, Conflict, row_names
from backup_tasks.merge.dialect import Dialect
from backup_tasks.merge.mapped_models import MappedModel
from backup_tasks.merge.translation import Translation
from backup_tasks.rows.column_groups import ColumnGroup, column_groups


def mixed_groups(dialect: Dialect, mapped: MappedModel, rows: Translation) -> Iterator[Conflict]:
    """Yield a conflict for each column group in which the merge would write values of the package
    beside values that only the target has."""
    for group in column_groups(mapped.model):
        written = _written(dialect, mapped, rows, group)
        own = mapped.columns("p")
        mixed = dialect.make(
            f"{mapped.mapping}_mixed",
            f"SELECT {', '.join(own)} FROM {written} x"
            f" WHERE EXISTS (SELECT 1 FROM {_staying(dialect, mapped)}"
            f" AND {_same_group(dialect, group)})",
            own,
        )
        if count := dialect.value(f"SELECT count(*) FROM {mixed}"):
            same = " AND ".join(f"c.{name} = m.{name}" for name in own)
            yield Conflict(
                what=f"{group} mean something only together ({group.source}), and rows of the "
                "package would stand beside rows that only the target has. No option decides that: "
                "leave the model out (--exclude), or restore it with --mode exact",
                rows=int(count),
                examples=row_names(
                    dialect,
                    mapped,
                    f"EXISTS (SELECT 1 FROM {mixed} c WHERE {same})",
                    MAX_EXAMPLES,
                ),
                decided="",
            )


def _written(dialect: Dialect, mapped: MappedModel, rows: Translation, group: ColumnGroup) -> str:
    """Make the table of the rows whose values in the group the merge writes, with what they are
    grouped by (g0…)."""
    quote = dialect.quote
    fields = [field for field in (*group.within, *group.columns) if field not in mapped.pk]
    differs = " OR ".join(
        dialect.differ(field, f"x.{quote(field.column)}", f"l.{quote(field.column)}")
        for field in fields
    )
    own = [f"x.merge_{name} AS {name}" for name in mapped.columns("p")]
    groups = [f"x.{quote(field.column)} AS g{at}" for at, field in enumerate(group.within)]
    return dialect.make(
        f"{mapped.mapping}_written",
        f"SELECT {', '.join([*own, *groups])} FROM ({rows.select()}) x"
        f" LEFT JOIN {quote(mapped.table)} l ON {rows.is_live_row('l', 'x')}"
        f" WHERE x.merge_action = 'insert' OR (x.merge_action = 'update' AND ({differs}))",
        [f"g{at}" for at in range(len(group.within))] or mapped.columns("p"),
    )


def _staying(dialect: Dialect, mapped: MappedModel) -> str:
    """Return what follows FROM for the rows of the target that do not get the package's values."""
    pairs = zip(mapped.columns("t"), mapped.pk, strict=True)
    same = " AND ".join(f"m.{name} = l.{dialect.quote(field.column)}" for name, field in pairs)
    return (
        f"{dialect.quote(mapped.table)} l WHERE NOT EXISTS (SELECT 1 FROM"
        f" {dialect.staged(mapped.mapping)} m WHERE {same} AND m.action IN ('update', 'same'))"
    )


def _same_group(dialect: Dialect, group: ColumnGroup) -> str:
    conditions = [
        f"NOT ({dialect.differ(field, f'l.{dialect.quote(field.column)}', f'x.g{at}')})"
        for at, field in enumerate(group.within)
    ]
    return " AND ".join(conditions) or "1 = 1"
