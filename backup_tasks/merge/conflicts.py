"""Finds conflicts: compares the rows of the package with the rows of live that they match.

    content         the same primary key, other content, in a model without a natural key
    column:uuid     the same natural key, another value in the unique column `uuid`
    unique:uuid     another natural key, but a row of live has the same `uuid`
    taken:uuid      another row of live, which is not the matched one, has the same `uuid`

The policy decides a conflict: the package's row is written, or live's row stays.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import TypedDict

from backup_tasks.merge.dialect import Dialect
from backup_tasks.merge.mapped_models import MappedModel
from backup_tasks.merge.policy import Policy
from backup_tasks.merge.translation import KEPT, Translation
from backup_tasks.printable import printable
from backup_tasks.rows.query import key_query

MAX_EXAMPLES = 10
_BATCH = 500


class Conflict(TypedDict):
    """A kind of conflict of a model, and how it was decided."""

    what: str
    rows: int
    examples: list[str]
    """Natural keys of some of the rows, as the package has them."""
    decided: str
    """package, target, or "": the merge is refused."""


def compare(
    dialect: Dialect,
    mapped: MappedModel,
    rows: Translation,
    policy: Policy,
    *,
    stays: bool,
    only: Collection[str] = (),
) -> None:
    """Set the action of every matched row to same, update or keep. `stays`: no row of live is
    updated; `only`: none that rows of the package with these primary keys match."""
    mapping, own = dialect.staged(mapped.mapping), mapped.columns("p")
    x, live = f"({rows.select()}) x", f"{dialect.quote(mapped.table)} l"
    found = "x.merge_action IN ('matched', 'hit')"
    different = dialect.make(
        f"{mapped.mapping}_diff",
        f"SELECT {', '.join(f'x.merge_{name} AS {name}' for name in own)} FROM {x}"
        f" JOIN {live} ON {rows.is_live_row('l', 'x')}"
        f" WHERE {found} AND ({rows.changed('x', 'l')})",
        own,
    )
    same = " AND ".join(f"d.{name} = {mapping}.{name}" for name in own)
    differs = f"EXISTS (SELECT 1 FROM {different} d WHERE {same})"
    dialect.run(
        f"UPDATE {mapping} SET action = 'same', conflict = NULL"
        f" WHERE action IN ('matched', 'hit') AND NOT {differs}"
    )
    if mapped.by_pk:
        dialect.run(
            f"UPDATE {mapping} SET conflict = 'content'"
            f" WHERE action = 'matched' AND conflict IS NULL AND {differs}"
        )
    for fields in mapped.uniques():
        if len(fields) == 1 and fields[0] not in mapped.pk:
            _set_conflict(
                dialect,
                mapped,
                f"{x} JOIN {live} ON {rows.is_live_row('l', 'x')}",
                f"x.merge_action = 'matched' AND x.{dialect.quote(fields[0].column)}"
                f" <> l.{dialect.quote(fields[0].column)}",
                f"column:{fields[0].name}",
            )
    _find_taken_values(dialect, mapped, rows)
    for keys in _batched([] if stays or len(mapped.pk) > 1 else sorted(only)):
        key, marks = dialect.key_text(mapped.pk[0], "p0"), ", ".join(["%s"] * len(keys))
        dialect.run(
            f"UPDATE {mapping} SET action = 'keep'"
            f" WHERE action IN ('matched', 'hit') AND {key} IN ({marks})",
            keys,
        )
    written = "keep" if stays else "update"
    decided = "keep" if policy.on_conflict == "target" else written
    dialect.run(
        f"UPDATE {mapping} SET action = '{decided}'"
        " WHERE conflict IS NOT NULL AND action IN ('matched', 'hit')"
    )
    dialect.run(f"UPDATE {mapping} SET action = '{written}' WHERE action IN ('matched', 'hit')")


def _batched(keys: Sequence[str]) -> Iterator[Sequence[str]]:
    """Yield the keys, as many at a time as one statement may have parameters."""
    for start in range(0, len(keys), _BATCH):
        yield keys[start : start + _BATCH]


def _find_taken_values(dialect: Dialect, mapped: MappedModel, rows: Translation) -> None:
    """Mark rows whose unique value another row of live has and keeps, since no row of the package
    changes it."""
    mapping = dialect.staged(mapped.mapping)
    pairs = [(f"t{at}", dialect.quote(field.column)) for at, field in enumerate(mapped.pk)]
    theirs = " AND ".join(f"o.{name} = l.{column}" for name, column in pairs)
    for fields in mapped.uniques():
        if fields == mapped.pk:
            continue
        columns = [dialect.quote(field.column) for field in fields]
        on = " AND ".join(f"x.{column} = l.{column}" for column in columns)
        other = " OR ".join(f"x.{column} <> l.{column}" for _, column in pairs)
        _set_conflict(
            dialect,
            mapped,
            f"({rows.select()}) x JOIN {dialect.quote(mapped.table)} l ON {on} AND ({other})",
            "x.merge_action IN ('matched', 'hit', 'insert') AND NOT EXISTS (SELECT 1 FROM"
            f" {mapping} o WHERE {theirs} AND o.action NOT IN {KEPT} AND o.action <> 'same')",
            f"taken:{', '.join(field.name for field in fields)}",
        )


def _set_conflict(
    dialect: Dialect, mapped: MappedModel, source: str, where: str, conflict: str
) -> None:
    mapping, own = dialect.staged(mapped.mapping), mapped.columns("p")
    clashes = dialect.make(
        f"{mapped.mapping}_clash",
        f"SELECT {', '.join(f'x.merge_{name} AS {name}' for name in own)} FROM {source}"
        f" WHERE x.merge_conflict IS NULL AND {where}",
        own,
    )
    same = " AND ".join(f"c.{name} = {mapping}.{name}" for name in own)
    dialect.run(
        f"UPDATE {mapping} SET conflict = '{conflict}'"
        f" WHERE EXISTS (SELECT 1 FROM {clashes} c WHERE {same})"
    )


def conflicts(dialect: Dialect, mapped: MappedModel, policy: Policy) -> list[Conflict]:
    """Return the model's conflicts: each kind with its number of rows and some of their keys."""
    return [
        Conflict(
            what=_description(reason),
            rows=int(count),
            examples=row_names(dialect, mapped, f"m.conflict = '{reason}'", MAX_EXAMPLES),
            decided=_decided(reason, kept=bool(kept), policy=policy),
        )
        for reason, count, kept in dialect.rows(
            "SELECT conflict, count(*), sum(CASE WHEN action = 'insert' THEN 0 ELSE 1 END)"
            f" FROM {dialect.staged(mapped.mapping)} WHERE conflict IS NOT NULL GROUP BY conflict"
            " ORDER BY conflict"
        )
    ]


def _decided(reason: str, *, kept: bool, policy: Policy) -> str:
    """Return the policy's decision. No policy can give two rows the same unique value: a taken
    value is decided only if the target's row stays."""
    if reason.startswith("taken") and (policy.on_conflict == "package" or not kept):
        return ""
    return policy.on_conflict


def _description(reason: str) -> str:
    kind, _, names = reason.partition(":")
    return {
        "content": "the same primary key, other content",
        "column": f"the same natural key, another {names}",
        "unique": f"another natural key, but a row of the target has the same {names}",
        "taken": f"another row of the target has the same {names}",
    }[kind]


def row_names(dialect: Dialect, mapped: MappedModel, where: str, limit: int) -> list[str]:
    """Return the natural keys of some rows of the package, as text that can be printed."""
    columns, source = key_query(mapped.model, mapped.paths, dialect.connection, dialect.staging)
    on = _on(dialect, mapped)
    return [
        printable(", ".join(map(str, row)))
        for row in dialect.rows(
            f"SELECT {', '.join(columns)} FROM {source}"
            f" JOIN {dialect.staged(mapped.mapping)} m ON {on} WHERE {where}"
            f" ORDER BY {', '.join(columns)} LIMIT {limit}"
        )
    ]


def _on(dialect: Dialect, mapped: MappedModel) -> str:
    pairs: Sequence[tuple[str, str]] = [
        (name, dialect.quote(field.column))
        for name, field in zip(mapped.columns("p"), mapped.pk, strict=True)
    ]
    return " AND ".join(f"m.{name} = t.{column}" for name, column in pairs)
