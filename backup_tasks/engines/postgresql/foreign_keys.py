"""Foreign keys across a swap on PostgreSQL: between tables that are replaced and tables that
stay."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from django.db import IntegrityError

from backup_tasks.engines.base import qualified, quoted
from backup_tasks.errors import DoesNotFit

_ACROSS = """
    SELECT k.conrelid = ANY(i.tables), k.conname, n.nspname, c.relname, m.nspname, p.relname,
           k.confrelid::regclass::text, pg_get_constraintdef(k.oid), k.convalidated,
           ARRAY(SELECT a.attname::text FROM unnest(k.conkey) WITH ORDINALITY u(num, place)
                   JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.num
                  ORDER BY u.place),
           ARRAY(SELECT a.attname::text FROM unnest(k.confkey) WITH ORDINALITY u(num, place)
                   JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.num
                  ORDER BY u.place)
      FROM (SELECT coalesce(array_agg(oid), '{}') AS tables FROM pg_class
             WHERE relnamespace = %(schema)s::regnamespace AND relname = ANY(%(tables)s)) i,
           pg_constraint k
      JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
      JOIN pg_class p ON p.oid = k.confrelid JOIN pg_namespace m ON m.oid = p.relnamespace
     WHERE k.contype = 'f' AND k.conparentid = 0
       AND (k.conrelid = ANY(i.tables)) <> (k.confrelid = ANY(i.tables))
     ORDER BY k.oid
"""


class CrossingKey(NamedTuple):
    """A foreign key of which only one end is replaced."""

    comes_from_inside: bool
    """Whether the table that has it is replaced."""
    name: str
    schema: str
    table: str
    parent_schema: str
    parent: str
    parent_name: str
    """The table that it refers to, as `definition` names it."""
    definition: str
    is_validated: bool
    columns: list[str]
    parent_columns: list[str]

    def definition_to(self, parent: str) -> str:
        """Return the definition of the same key to another table, whose name is quoted."""
        return self.definition.replace(
            f" REFERENCES {self.parent_name}(", f" REFERENCES {parent}(", 1
        )

    def matches(self, of: str, parent: str) -> str:
        """Return the condition that a row `of` the table refers to a row of the parent."""
        pairs = zip(self.columns, self.parent_columns, strict=True)
        return " AND ".join(f"{of}.{quoted(a)} = {parent}.{quoted(b)}" for a, b in pairs)


def across(cursor: Any, schema: str, tables: Sequence[str]) -> list[CrossingKey]:
    """Return the foreign keys between these tables of a schema and other tables."""
    cursor.execute(_ACROSS, {"schema": quoted(schema), "tables": list(tables)})
    return [CrossingKey(*row) for row in cursor.fetchall()]


def refuse_dangling(cursor: Any, live: str, schema: str, tables: Sequence[str]) -> None:
    """Raise DoesNotFit if rows of tables that stay refer to rows that the schema's tables, which
    replace live's, have not. Reads only."""
    lost = []
    for key in across(cursor, live, tables):
        if key.comes_from_inside or not key.is_validated:
            continue
        known = " AND ".join(f"r.{quoted(name)} IS NOT NULL" for name in key.columns)
        cursor.execute(
            f"SELECT count(*) FROM {qualified(key.schema, key.table)} r WHERE {known} AND NOT"
            f" EXISTS (SELECT FROM {qualified(schema, key.parent)} p WHERE {key.matches('r', 'p')})"
        )
        (number,) = cursor.fetchone()
        if number:
            lost.append(f"{number} of {key.table} to {key.parent} ({key.name})")
    if lost:
        raise dangling(", ".join(lost), live)


def dangling(what: str, live: str) -> DoesNotFit:
    """Return the error for rows that would have no parent after a swap."""
    return DoesNotFit(
        f"rows of tables that the package does not hold would refer to nothing: {what}",
        obj=f"schema {live}",
        hint="Restore a package that holds these rows, or remove the rows that refer to them.",
    )


def add(cursor: Any, statements: Sequence[str], live: str) -> None:
    """Execute the statements that add foreign keys. Raises DoesNotFit for rows without a parent."""
    try:
        for statement in statements:
            cursor.execute(statement)
    except IntegrityError as error:
        raise dangling(str(error), live) from error
