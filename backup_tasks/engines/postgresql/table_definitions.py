"""The structure of PostgreSQL tables: copied from one schema to another, and compared.

Names of indexes and constraints are kept, since later migrations refer to them; `CREATE TABLE …
LIKE` alone would choose new ones. Definitions are read while the source is the search path, so that
they name its tables without a schema, and executed while the copy comes first on the path.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from backup_tasks.engines.base import quoted

_TABLES_QUERY = (
    "SELECT c.oid, c.relname, array_to_string(c.reloptions, ', '),"
    " quote_literal(obj_description(c.oid, 'pg_class')) FROM pg_class c"
    " WHERE c.relnamespace = %s::regnamespace AND c.relkind = 'r' AND c.relname = ANY(%s)"
    " ORDER BY c.relname"
)

# What makes tables what they are, one SELECT of (table, what, name, definition) per kind, of the
# tables with these oids.
_DEFINITION_QUERIES = (
    """
    SELECT a.attrelid, 'column', a.attname, concat_ws(' ', format_type(a.atttypid, a.atttypmod),
           CASE WHEN a.attnotnull THEN 'not null' END, a.attidentity, a.attgenerated,
           CASE WHEN s.oid IS NULL THEN pg_get_expr(d.adbin, d.adrelid, true)
                ELSE 'serial' END,
           CASE WHEN a.attcollation <> t.typcollation THEN a.attcollation::regcollation::text END,
           a.attstorage, a.attcompression, col_description(a.attrelid, a.attnum))
      FROM pg_attribute a
      JOIN pg_type t ON t.oid = a.atttypid
      LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
      LEFT JOIN pg_depend o ON o.refobjid = a.attrelid AND o.refobjsubid = a.attnum
            AND o.classid = 'pg_class'::regclass AND o.deptype = 'a'
      LEFT JOIN pg_class s ON s.oid = o.objid AND s.relkind = 'S'
     WHERE a.attrelid = ANY(%s) AND a.attnum > 0 AND NOT a.attisdropped
     ORDER BY a.attnum
    """,
    """
    SELECT x.indrelid, 'index', i.relname, pg_get_indexdef(i.oid, 0, true)
      FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid
     WHERE x.indrelid = ANY(%s)
       AND NOT EXISTS (SELECT 1 FROM pg_constraint k WHERE k.conindid = i.oid)
     ORDER BY i.relname
    """,
    """
    SELECT k.conrelid, CASE k.contype WHEN 'f' THEN 'foreign key' WHEN 'c' THEN 'check'
                                      ELSE 'constraint' END,
           k.conname, pg_get_constraintdef(k.oid, true)
      FROM pg_constraint k
     WHERE k.conrelid = ANY(%s) AND k.contype IN ('p', 'u', 'x', 'c', 'f')
     ORDER BY k.contype = 'f', k.conname
    """,
    """
    SELECT g.tgrelid, 'trigger', g.tgname,
           pg_get_triggerdef(g.oid, true) || ' ' || g.tgenabled::text
      FROM pg_trigger g WHERE g.tgrelid = ANY(%s) AND NOT g.tgisinternal ORDER BY g.tgname
    """,
    """
    SELECT p.polrelid, 'policy', p.polname, concat_ws(' ', p.polcmd, p.polpermissive,
           p.polroles::text, pg_get_expr(p.polqual, p.polrelid),
           pg_get_expr(p.polwithcheck, p.polrelid))
      FROM pg_policy p WHERE p.polrelid = ANY(%s) ORDER BY p.polname
    """,
    """
    SELECT c.oid, 'table', 'itself', concat_ws(' ', c.relpersistence, c.reltablespace::text,
           array_to_string(c.reloptions, ','), c.relrowsecurity, c.relforcerowsecurity,
           c.relreplident, obj_description(c.oid, 'pg_class'))
      FROM pg_class c WHERE c.oid = ANY(%s)
    """,
)


def tables_in(cursor: Any, schema: str, tables: Sequence[str]) -> list[str]:
    """Return those of the tables that are there."""
    cursor.execute(
        "SELECT relname FROM pg_class WHERE relnamespace = %s::regnamespace"
        " AND relkind IN ('r', 'p') AND relname = ANY(%s) ORDER BY relname",
        [quoted(schema), list(tables)],
    )
    return [name for (name,) in cursor.fetchall()]


def copy(cursor: Any, source: str, target: str, tables: Sequence[str]) -> None:
    """Make empty copies of the tables in the schema `target`. Inside a transaction."""
    _set_search_path(cursor, source)
    cursor.execute(_TABLES_QUERY, [quoted(source), list(tables)])
    found = cursor.fetchall()
    definitions = _definitions(cursor, [oid for oid, *_ in found])
    statements: list[str] = []
    for oid, name, options, comment in found:
        new, original = (f"{quoted(schema)}.{quoted(name)}" for schema in (target, source))
        cursor.execute(
            f"CREATE TABLE {new} (LIKE {original} INCLUDING ALL EXCLUDING INDEXES)"
            + (f" WITH ({options})" if options else "")
        )
        statements += [definition for what, _, definition in definitions[oid] if what == "index"]
        statements += [
            f"ALTER TABLE {quoted(name)} ADD CONSTRAINT {quoted(constraint)} {definition}"
            for what, constraint, definition in definitions[oid]
            if what == "constraint"
        ]
        statements += [f"COMMENT ON TABLE {quoted(name)} IS {comment}"] if comment else []
    statements += _sequence_statements(cursor, [oid for oid, *_ in found], target)
    for oid, name, *_ in found:
        statements += [
            f"ALTER TABLE {quoted(name)} ADD CONSTRAINT {quoted(key)} {definition}"
            for what, key, definition in definitions[oid]
            if what == "foreign key"
        ]
        statements += [
            definition[:-2]
            for what, _, definition in definitions[oid]
            if what == "trigger" and definition.endswith(" O")
        ]
    # The copies first; types, functions and extensions are found where live finds them.
    _set_search_path(cursor, target, source)
    for statement in statements:
        cursor.execute(statement)
    _set_search_path(cursor, source)


def differences(cursor: Any, source: str, target: str, tables: Sequence[str]) -> list[str]:
    """Return in words how the tables of the two schemas differ in structure.

    What both use of the source, an extension's types say, is looked for there on both sides: it has
    the same name then. A foreign key of the copy that leads to the source's tables is a difference.
    """
    in_source = _descriptions(cursor, tables, source)
    in_target = _descriptions(cursor, tables, target, source) | _foreign_keys_out(
        cursor, tables, target
    )
    _set_search_path(cursor, source)
    return [
        f"{table}: {what} {name}: {text}"
        for table, what, name, text in sorted(in_source ^ in_target)
    ]


def _descriptions(cursor: Any, tables: Sequence[str], *path: str) -> set[tuple[str, str, str, str]]:
    """Describe the tables of the first schema of the path."""
    _set_search_path(cursor, *path)
    cursor.execute(_TABLES_QUERY, [quoted(path[0]), list(tables)])
    names = {oid: name for oid, name, *_ in cursor.fetchall()}
    return {
        (names[oid], what, object_name, definition or "")
        for oid, found in _definitions(cursor, [*names]).items()
        for what, object_name, definition in found
    }


def _foreign_keys_out(
    cursor: Any, tables: Sequence[str], schema: str
) -> set[tuple[str, str, str, str]]:
    cursor.execute(
        "SELECT c.relname, 'foreign key', k.conname, 'leads to ' || r.relnamespace::regnamespace"
        " FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid"
        " JOIN pg_class r ON r.oid = k.confrelid"
        " WHERE k.contype = 'f' AND c.relnamespace = %s::regnamespace AND c.relname = ANY(%s)"
        " AND r.relnamespace <> c.relnamespace",
        [quoted(schema), list(tables)],
    )
    return set(cursor.fetchall())


def _definitions(cursor: Any, oids: Sequence[int]) -> dict[int, list[tuple[str, str, str]]]:
    """Return (what, name, definition) of all that the tables have, by table."""
    definitions: dict[int, list[tuple[str, str, str]]] = {oid: [] for oid in oids}
    for query in _DEFINITION_QUERIES:
        cursor.execute(query, [list(oids)])
        for oid, *row in cursor.fetchall():
            definitions[oid].append(tuple(row))
    return definitions


def _sequence_statements(cursor: Any, oids: Sequence[int], target: str) -> list[str]:
    """A serial column's default names its sequence: the copy gets one of its own."""
    cursor.execute(
        "SELECT c.relname, s.relname, a.attname, q.seqtypid::regtype, q.seqincrement"
        " FROM pg_depend o JOIN pg_class c ON c.oid = o.refobjid"
        " JOIN pg_class s ON s.oid = o.objid AND s.relkind = 'S'"
        " JOIN pg_sequence q ON q.seqrelid = s.oid"
        " JOIN pg_attribute a ON a.attrelid = o.refobjid AND a.attnum = o.refobjsubid"
        " WHERE o.refobjid = ANY(%s) AND o.classid = 'pg_class'::regclass AND o.deptype = 'a'",
        [list(oids)],
    )
    statements = []
    for table, sequence, column, kind, step in cursor.fetchall():
        name = f"{quoted(target)}.{quoted(sequence)}"
        owner = f"{quoted(target)}.{quoted(table)}"
        default = f"nextval('{name.replace(chr(39), chr(39) * 2)}'::regclass)"
        statements += [
            f"CREATE SEQUENCE {name} AS {kind} INCREMENT {step} OWNED BY {owner}.{quoted(column)}",
            f"ALTER TABLE {owner} ALTER COLUMN {quoted(column)} SET DEFAULT {default}",
        ]
    return statements


def _set_search_path(cursor: Any, *schemas: str) -> None:
    path = ", ".join(map(quoted, schemas))
    cursor.execute("SELECT set_config('search_path', %s, true)", [path])
