"""Drops indexes, constraints and triggers before a bulk load and builds them again after it, which
is faster than updating them row by row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from backup_tasks.engines.base import qualified, quoted
from backup_tasks.engines.postgresql.partitions import with_partitions


class ForeignKey(NamedTuple):
    """A foreign key."""

    table: str
    name: str
    definition: str
    """What follows ALTER TABLE … ADD CONSTRAINT name."""

    def alter_table(self, schema: str) -> str:
        """Return the start of an ALTER TABLE statement for its table."""
        return f"ALTER TABLE {qualified(schema, self.table)}"


def foreign_keys_of(cursor: Any, schema: str, tables: Sequence[str]) -> list[ForeignKey]:
    """Return the foreign keys that the tables have, and those of the schema that refer to them."""
    names = with_partitions(cursor, schema, tables)
    cursor.execute(
        "SELECT c.relname, k.conname, pg_get_constraintdef(k.oid) FROM pg_constraint k"
        " JOIN pg_class c ON c.oid = k.conrelid JOIN pg_class o ON o.oid = k.confrelid"
        " WHERE k.contype = 'f' AND k.conparentid = 0"
        " AND c.relnamespace = %s::regnamespace"
        " AND (c.relname = ANY(%s)"
        "  OR o.relname = ANY(%s) AND o.relnamespace = c.relnamespace)"
        " ORDER BY c.relname, k.conname",
        [quoted(schema), names, names],
    )
    return [ForeignKey(*row) for row in cursor.fetchall()]


def with_referring_tables(cursor: Any, schema: str, tables: Sequence[str]) -> list[str]:
    """Return the tables, and those of the same schema that refer to them, directly or through other
    tables: TRUNCATE must empty all of them at once."""
    cursor.execute(
        "WITH RECURSIVE found AS ("
        " SELECT oid, relname, relnamespace FROM pg_class"
        "  WHERE relnamespace = %s::regnamespace AND relname = ANY(%s)"
        " UNION SELECT c.oid, c.relname, c.relnamespace FROM found"
        "  JOIN pg_constraint k ON k.contype = 'f' AND k.confrelid = found.oid"
        "  JOIN pg_class c ON c.oid = k.conrelid AND c.relnamespace = found.relnamespace)"
        " SELECT relname FROM found ORDER BY relname",
        [quoted(schema), list(tables)],
    )
    return [name for (name,) in cursor.fetchall()]


def drop_foreign_keys(cursor: Any, schema: str, keys: Sequence[ForeignKey]) -> None:
    """Drop foreign keys."""
    for key in keys:
        cursor.execute(f"{key.alter_table(schema)} DROP CONSTRAINT {quoted(key.name)}")


def add_foreign_keys(cursor: Any, schema: str, keys: Sequence[ForeignKey]) -> list[str]:
    """Add foreign keys, as NOT VALID where possible. Return the statements that validate them: they
    may run in parallel."""
    cursor.execute(
        "SELECT relname FROM pg_class WHERE relnamespace = %s::regnamespace AND relkind = 'p'",
        [quoted(schema)],
    )
    partitioned = {name for (name,) in cursor.fetchall()}
    validations = []
    for key in keys:
        alter = key.alter_table(schema)
        statement = f"{alter} ADD CONSTRAINT {quoted(key.name)} {key.definition}"
        # A key that was NOT VALID or NOT ENFORCED stays so. PostgreSQL has no NOT VALID for
        # partitioned tables.
        if key.table not in partitioned and not key.definition.endswith(("VALID", "ENFORCED")):
            statement += " NOT VALID"
            validations.append(f"{alter} VALIDATE CONSTRAINT {quoted(key.name)}")
        cursor.execute(statement)
    return validations


_OF_TABLES = "c.relnamespace = %s::regnamespace AND c.relname = ANY(%s)"


def drop_indexes_and_constraints(cursor: Any, schema: str, tables: Sequence[str]) -> list[str]:
    """Drop secondary indexes, unique and exclusion constraints, and those that hold for new rows
    only, and disable triggers, of the tables and their partitions. Return the statements that undo
    this, in order. Foreign keys that need them must be dropped already."""
    parameters = [quoted(schema), with_partitions(cursor, schema, tables)]
    enable = _disable_triggers(cursor, schema, parameters)
    cursor.execute(
        "SELECT c.relname, k.conname, pg_get_constraintdef(k.oid), k.conparentid = 0"
        f" FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid WHERE {_OF_TABLES}"
        " AND k.contype IN ('u', 'x') ORDER BY c.relname, k.conname",
        parameters,
    )
    constraints = cursor.fetchall()
    add_unproven = _drop_unproven(cursor, schema, parameters)
    cursor.execute(
        "SELECT i.relname, pg_get_indexdef(i.oid), NOT i.relispartition FROM pg_index x"
        " JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_class c ON c.oid = x.indrelid"
        f" WHERE {_OF_TABLES} AND NOT EXISTS (SELECT 1 FROM pg_constraint k"
        "  WHERE k.conindid = i.oid AND k.contype IN ('p', 'u', 'x'))",
        parameters,
    )
    indexes = cursor.fetchall()
    attach = _attachments(cursor, schema, parameters)
    # Those of partitions go with those of the partitioned table.
    for table, name, _, is_whole in constraints:
        if is_whole:
            cursor.execute(f"ALTER TABLE {qualified(schema, table)} DROP CONSTRAINT {quoted(name)}")
    for name, _, is_whole in indexes:
        if is_whole:
            cursor.execute(f"DROP INDEX {qualified(schema, name)}")
    return [
        *(definition for _, definition, _ in indexes),
        *(
            f"ALTER TABLE ONLY {qualified(schema, table)} ADD CONSTRAINT {quoted(name)} {made}"
            for table, name, made, _ in constraints
        ),
        *attach,
        *add_unproven,
        *enable,
    ]


def _drop_unproven(cursor: Any, schema: str, parameters: Sequence[Any]) -> list[str]:
    """Drop the checks and NOT NULL that are not valid: older rows may break them. Return the
    statements that add them again."""
    cursor.execute(
        "SELECT c.relname, k.conname, pg_get_constraintdef(k.oid) FROM pg_constraint k"
        f" JOIN pg_class c ON c.oid = k.conrelid WHERE {_OF_TABLES} AND k.contype IN ('c', 'n')"
        " AND NOT k.convalidated AND k.coninhcount = 0 ORDER BY c.relname, k.conname",
        parameters,
    )
    found = [
        (f"ALTER TABLE {qualified(schema, table)}", quoted(name), made)
        for table, name, made in cursor.fetchall()
    ]
    for alter, name, _ in found:
        cursor.execute(f"{alter} DROP CONSTRAINT {name}")
    return [f"{alter} ADD CONSTRAINT {name} {made}" for alter, name, made in found]


def _disable_triggers(cursor: Any, schema: str, parameters: Sequence[Any]) -> list[str]:
    """Return the statements that enable them again."""
    cursor.execute(
        "SELECT c.relname, t.tgname,"
        " CASE t.tgenabled WHEN 'A' THEN 'ENABLE ALWAYS' ELSE 'ENABLE' END"
        " FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid"
        f" WHERE {_OF_TABLES} AND t.tgenabled IN ('O', 'A')"
        # Up to version 14, those that a partition has from its table are internal ones.
        " AND (NOT t.tgisinternal OR t.tgparentid <> 0 AND t.tgconstraint = 0)",
        parameters,
    )
    triggers = cursor.fetchall()
    for table, name, _ in triggers:
        cursor.execute(
            f"ALTER TABLE ONLY {qualified(schema, table)} DISABLE TRIGGER {quoted(name)}"
        )
    return [
        f"ALTER TABLE ONLY {qualified(schema, table)} {enable} TRIGGER {quoted(name)}"
        for table, name, enable in triggers
    ]


def _attachments(cursor: Any, schema: str, parameters: Sequence[Any]) -> list[str]:
    """Return the statements that make the partitions' indexes parts of the partitioned tables'. A
    primary key is not dropped."""
    cursor.execute(
        "SELECT o.relname, i.relname FROM pg_inherits h JOIN pg_class i ON i.oid = h.inhrelid"
        " JOIN pg_class o ON o.oid = h.inhparent JOIN pg_index x ON x.indexrelid = o.oid"
        f" JOIN pg_class c ON c.oid = x.indrelid WHERE {_OF_TABLES} AND NOT x.indisprimary"
        " ORDER BY i.relname",
        parameters,
    )
    return [
        f"ALTER INDEX {qualified(schema, index)} ATTACH PARTITION {qualified(schema, part)}"
        for index, part in cursor.fetchall()
    ]
