"""Sequences: what they have given, and that they give no number twice.

A sequence is read like a table: `pg_sequence_last_value` would lock it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from backup_tasks.engines.base import qualified, quoted
from backup_tasks.package.entries import SequenceEntry


@dataclass(frozen=True, kw_only=True)
class _Found:
    entry: SequenceEntry
    smallest: int
    largest: int

    def furthest(self, numbers: Iterable[int]) -> int:
        """Return the number that is furthest in the direction of the increment."""
        return max(numbers) if self.entry.increment > 0 else min(numbers)


_IN_SCHEMA = """
SELECT s.relname, coalesce(c.relname, ''), coalesce(a.attname, ''), q.seqincrement, q.seqcache,
       q.seqcycle, q.seqmin, q.seqmax
  FROM pg_sequence q JOIN pg_class s ON s.oid = q.seqrelid
  LEFT JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = s.oid
   AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')
  LEFT JOIN pg_class c ON c.oid = d.refobjid
  LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = d.refobjsubid
 WHERE s.relnamespace = to_regnamespace(%(schema)s) AND has_table_privilege(s.oid, 'SELECT')
   AND (c.relname = ANY(%(tables)s) OR c.oid IS NULL AND NOT EXISTS (
        SELECT 1 FROM pg_depend e WHERE e.classid = 'pg_class'::regclass AND e.objid = s.oid
           AND e.deptype = 'e'))
 ORDER BY 1
"""

# Columns of whole numbers whose default draws from a sequence.
_DRAWING = """
SELECT c.relname, a.attname
  FROM pg_depend d JOIN pg_attrdef f ON f.oid = d.objid
  JOIN pg_class c ON c.oid = f.adrelid
  JOIN pg_attribute a ON a.attrelid = f.adrelid AND a.attnum = f.adnum
 WHERE d.classid = 'pg_attrdef'::regclass AND d.refobjid = %s::regclass
   AND a.atttypid IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype)
"""

_IS_NUMBER = """
SELECT 1 FROM pg_attribute WHERE attrelid = to_regclass(%s) AND attname = %s
   AND atttypid IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype)
"""


def read(cursor: Any, schema: str, tables: Sequence[str]) -> list[SequenceEntry]:
    """Return the sequences of the tables' columns, and those of the schema that no column owns."""
    return [found.entry for found in _read(cursor, schema, tables)]


def _read(cursor: Any, schema: str, tables: Sequence[str]) -> list[_Found]:
    cursor.execute(_IN_SCHEMA, {"schema": quoted(schema), "tables": list(tables)})
    described = cursor.fetchall()
    if not described:
        return []
    # In the order of the names: one statement for all.
    cursor.execute(
        " UNION ALL ".join(
            f"SELECT {at}, last_value, is_called FROM {qualified(schema, name)}"
            for at, (name, *_) in enumerate(described)
        )
    )
    states = {at: (last, called) for at, last, called in cursor.fetchall()}
    return [
        _Found(
            entry=SequenceEntry(
                name=name,
                table=table,
                column=column,
                last=states[at][0],
                called=states[at][1],
                increment=increment,
                cache=cache,
                cycle=cycle,
            ),
            smallest=smallest,
            largest=largest,
        )
        for at, (name, table, column, increment, cache, cycle, smallest, largest) in enumerate(
            described
        )
    ]


def advance(
    cursor: Any, schema: str, table: str, pk: str, given: int, known: Iterable[SequenceEntry]
) -> None:
    """Let the sequences of the table's columns go on from the furthest of where they stand, the
    rows, where the `known` ones stood, and for that of the column `pk` the number `given`."""
    before = {(entry.table, entry.column): entry for entry in known}
    for found in _read(cursor, schema, [table]):
        entry = found.entry
        if entry.table:
            numbers = _of_rows(cursor, schema, table, entry.column, found)
            if given and entry.column == pk and entry.increment > 0:
                numbers.append(given)
            _advance(cursor, schema, found, numbers, before.get((table, entry.column)))


def advance_free(cursor: Any, live: str, schema: str, known: Iterable[SequenceEntry]) -> None:
    """Let the sequences of live's that no column owns go on from the furthest of where they stand,
    where the `known` ones stood, and the rows in `schema` whose columns draw from them."""
    before = {entry.name: entry for entry in known if not entry.table}
    for found in _read(cursor, live, []):
        cursor.execute(_DRAWING, [qualified(live, found.entry.name)])
        numbers = [
            number
            for table, column in cursor.fetchall()
            for number in _of_rows(cursor, schema, table, column, found)
        ]
        _advance(cursor, live, found, numbers, before.get(found.entry.name))


def keep_going(cursor: Any, old: str, new: str, tables: Sequence[str]) -> None:
    """Let the sequences of the tables in `new` give no number that those in `old` have given."""
    before = {(entry.table, entry.column): entry for entry in read(cursor, old, tables)}
    for found in _read(cursor, new, tables):
        if found.entry.table:
            known = before.get((found.entry.table, found.entry.column))
            _advance(cursor, new, found, [], known)


def _of_rows(cursor: Any, schema: str, table: str, column: str, found: _Found) -> list[int]:
    """Return the furthest number of the column; nothing where it holds none."""
    cursor.execute(_IS_NUMBER, [qualified(schema, table), column])
    if not cursor.fetchone():
        return []
    furthest = "max" if found.entry.increment > 0 else "min"
    cursor.execute(f"SELECT {furthest}({quoted(column)}) FROM {qualified(schema, table)}")
    (number,) = cursor.fetchone()
    # A number that it can't give says nothing of what it gave.
    return [number] if number is not None and found.smallest <= number <= found.largest else []


def _advance(
    cursor: Any, schema: str, found: _Found, numbers: Sequence[int], before: SequenceEntry | None
) -> None:
    entry, name = found.entry, qualified(schema, found.entry.name)
    if before and before.increment * entry.increment < 0:
        before = None  # it counted the other way
    furthest = found.furthest([entry.given, *numbers, *([before.given] if before else [])])
    if furthest == entry.given:
        return
    if before and furthest == before.given and not before.called and furthest not in numbers:
        cursor.execute("SELECT setval(%s, %s, false)", [name, before.last])
    else:
        within = max(found.smallest, min(furthest, found.largest))
        cursor.execute("SELECT setval(%s, %s)", [name, within])
