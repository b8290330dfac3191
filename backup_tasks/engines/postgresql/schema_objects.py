"""Types, functions and other objects of a schema that are no tables: they go with the tables.

Migrations that run in staging make them there, and columns, defaults and triggers of staging's
tables use these very objects. So a promote moves them to live's schema, and what live has of the
same name to the schema that is kept, with the tables that use it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from backup_tasks.engines.base import qualified, quoted
from backup_tasks.engines.postgresql import privileges
from backup_tasks.engines.postgresql.object_definitions import RELATIONS
from backup_tasks.engines.postgresql.views import create_over_new_tables
from backup_tasks.errors import DoesNotFit

_MAX_EXAMPLES = 5

# Row types of tables, array types and sequences of columns depend on no schema by themselves: they
# go with what they belong to.
_OBJECTS = """
    SELECT d.classid::bigint, d.objid::bigint, o.identity
      FROM pg_depend d, LATERAL pg_identify_object(d.classid, d.objid, 0) o
     WHERE d.refclassid = 'pg_namespace'::regclass AND d.refobjid = %s::regnamespace
       AND d.deptype = 'n' AND (d.classid <> 'pg_class'::regclass OR o.type = 'sequence')
       AND NOT EXISTS (SELECT 1 FROM pg_depend s WHERE s.classid = d.classid AND s.objid = d.objid
               AND d.classid = 'pg_class'::regclass AND s.refclassid = 'pg_class'::regclass
               AND s.deptype IN ('a', 'i'))
     ORDER BY d.objid
"""
# Of tables that were moved already; the definition names the table without its schema.
_STATISTICS = """
    SELECT x.stxname, pg_get_statisticsobjdef(x.oid)
      FROM pg_statistic_ext x JOIN pg_class c ON c.oid = x.stxrelid
     WHERE x.stxnamespace = %s::regnamespace AND c.relnamespace = %s::regnamespace
"""
# Of objects of live: who uses them that is not replaced itself.
_USERS_OF_REPLACED = """
    , moved AS (SELECT * FROM unnest(%(classes)s::bigint[], %(objects)s::bigint[]) m(class, obj))
    SELECT DISTINCT pg_describe_object(d.classid, d.objid, d.objsubid)
      FROM moved m JOIN pg_depend d ON d.refclassid = m.class::oid AND d.refobjid = m.obj::oid
     WHERE d.deptype IN ('n', 'a')
       AND NOT EXISTS (SELECT 1 FROM belongings b
                        WHERE b.classoid = d.classid AND b.objoid = d.objid)
       AND NOT EXISTS (SELECT 1 FROM moved o
                        WHERE o.class::oid = d.classid AND o.obj::oid = d.objid)
       AND NOT EXISTS (SELECT 1 FROM pg_attrdef a WHERE d.classid = 'pg_attrdef'::regclass
                          AND a.oid = d.objid AND a.adrelid = ANY(%(oids)s))
     ORDER BY 1
"""
_DDL_KEYWORDS = {"statistics object": "STATISTICS"}
_BROUGHT = "backup_tasks_brought"
"""A table of the kept schema: which objects a promote moved to live where live had none of that
name. An undo takes them away again."""


class SchemaObject(NamedTuple):
    """One object, as `pg_depend` knows it."""

    class_oid: int
    oid: int
    identity: str
    """Qualified, with the types of its arguments."""


def swap(cursor: Any, live: str, schema: str, keep: str) -> list[SchemaObject]:
    """Move the schema's objects to live, and live's of the same names to `keep`; give each that
    replaces another the other's grants and comment. Return live's that were moved."""
    statistics = _move_statistics(cursor, live, keep)
    own, returning = _objects(cursor, schema), _brought_by(cursor, schema)
    # Live may have hundreds, of an extension say, and its tables are locked now.
    of_live = _objects(cursor, live) if own or returning else []
    by_identity = {each.identity: each for each in of_live}
    replaced, brought = [], []
    for each in own:
        identity = each.identity.replace(f"{_ident(cursor, schema)}.", f"{_ident(cursor, live)}.")
        other = by_identity.get(identity)
        if other is None:
            brought.append(each)
            _move(cursor, each, live)
            continue
        replaced.append(other)
        _move(cursor, other, keep)
        _move(cursor, each, live)
        _take_over(cursor, other, each)
    in_live = {each.oid for each in of_live} - {each.oid for each in replaced}
    for each in returning:
        if each.oid in in_live:
            _move(cursor, each, keep)
    _record(cursor, keep, brought)
    _make_statistics(cursor, live, statistics)
    return replaced


def refuse_users_of_replaced(cursor: Any, live: str, schema: str, tables: Sequence[str]) -> None:
    """Raise DoesNotFit if something that would stay uses types or functions of live that those of
    the schema would replace. Reads only."""
    own = {
        each.identity.replace(f"{_ident(cursor, schema)}.", f"{_ident(cursor, live)}.")
        for each in _objects(cursor, schema)
    }
    replaced = [each for each in _objects(cursor, live) if each.identity in own] if own else []
    cursor.execute(
        "SELECT oid::bigint FROM pg_class WHERE relnamespace = to_regnamespace(%s)"
        " AND relname = ANY(%s)",
        [quoted(live), list(tables)],
    )
    asked = {
        "oids": [oid for (oid,) in cursor.fetchall()],
        "schema": quoted(live),
        "classes": [each.class_oid for each in replaced],
        "objects": [each.oid for each in replaced],
    }
    cursor.execute(RELATIONS + _USERS_OF_REPLACED, asked)
    _refuse_users([name for (name,) in cursor.fetchall()])


def refuse_users_outside(cursor: Any, moved: Sequence[SchemaObject], keep: str) -> None:
    """Raise DoesNotFit if something that was not moved to `keep` uses what was: it would go on
    using the old one."""
    cursor.execute(
        "SELECT DISTINCT pg_describe_object(d.classid, d.objid, d.objsubid)"
        " FROM unnest(%s::bigint[], %s::bigint[]) m(class, obj)"
        " JOIN pg_depend d ON d.refclassid = m.class::oid AND d.refobjid = m.obj::oid,"
        " LATERAL pg_identify_object(d.classid, d.objid, 0) o"
        " WHERE d.deptype IN ('n', 'a') AND position(quote_ident(%s) || '.' IN o.identity) = 0"
        " ORDER BY 1",
        [[each.class_oid for each in moved], [each.oid for each in moved], keep],
    )
    _refuse_users([name for (name,) in cursor.fetchall()])


def _refuse_users(users: Sequence[str]) -> None:
    if users:
        more = f" and {len(users) - _MAX_EXAMPLES} more" if len(users) > _MAX_EXAMPLES else ""
        raise DoesNotFit(
            f"these would go on using types or functions that are replaced: "
            f"{', '.join(users[:_MAX_EXAMPLES])}{more}",
            obj="database",
            hint="Live data was not touched. Drop them, run this again, and create them anew.",
        )


def _objects(cursor: Any, schema: str) -> list[SchemaObject]:
    cursor.execute(_OBJECTS, [quoted(schema)])
    return [SchemaObject(*row) for row in cursor.fetchall()]


def _ident(cursor: Any, schema: str) -> str:
    """Return the schema's name as the server writes it in identities."""
    cursor.execute("SELECT quote_ident(%s)", [schema])
    return str(cursor.fetchone()[0])


def _kind(cursor: Any, each: SchemaObject) -> str:
    """Return the word for its kind, and its name: they change when types that it uses are moved."""
    cursor.execute(
        "SELECT type, identity FROM pg_identify_object(%s::oid, %s::oid, 0)",
        [each.class_oid, each.oid],
    )
    kind, identity = cursor.fetchone()
    return f"{_DDL_KEYWORDS.get(kind, kind).upper()} {identity}"


def _move(cursor: Any, each: SchemaObject, schema: str) -> None:
    cursor.execute(f"ALTER {_kind(cursor, each)} SET SCHEMA {quoted(schema)}")


def _move_statistics(cursor: Any, live: str, keep: str) -> dict[str, str]:
    """Move the extended statistics of live's old tables to where these are; return their
    definitions, by name."""
    cursor.execute("SELECT set_config('search_path', %s, true)", [quoted(keep)])
    cursor.execute(_STATISTICS, [quoted(live), quoted(keep)])
    found = cursor.fetchall()
    for name, _ in found:
        cursor.execute(f"ALTER STATISTICS {qualified(live, name)} SET SCHEMA {quoted(keep)}")
    return dict(found)


def _make_statistics(cursor: Any, live: str, definitions: Mapping[str, str]) -> None:
    """Make those anew over the new tables that did not come with them. Raises DoesNotFit."""
    cursor.execute("SELECT set_config('search_path', %s, true)", [quoted(live)])
    for name, definition in definitions.items():
        cursor.execute(
            "SELECT 1 FROM pg_statistic_ext WHERE stxname = %s AND stxnamespace = %s::regnamespace",
            [name, quoted(live)],
        )
        if cursor.fetchone() is None:
            create_over_new_tables(cursor, definition, f"statistics object {name}")


def _take_over(cursor: Any, other: SchemaObject, each: SchemaObject) -> None:
    """Give an object the grants and the comment of the one that it replaces."""
    kind = _kind(cursor, each)
    privileges.copy_of_object(cursor, other.oid, kind)
    cursor.execute(
        "SELECT quote_literal(obj_description(%s::oid, %s::regclass::name))",
        [other.oid, other.class_oid],
    )
    (comment,) = cursor.fetchone()
    if comment:
        cursor.execute(f"COMMENT ON {kind} IS {comment}")


def _record(cursor: Any, keep: str, brought: Sequence[SchemaObject]) -> None:
    if brought:
        table = f"{quoted(keep)}.{_BROUGHT}"
        cursor.execute(f"CREATE TABLE {table} (class bigint NOT NULL, object bigint NOT NULL)")
        cursor.executemany(
            f"INSERT INTO {table} VALUES (%s, %s)",
            [[each.class_oid, each.oid] for each in brought],
        )


def _brought_by(cursor: Any, schema: str) -> list[SchemaObject]:
    """Return what the promote that kept the schema brought, as far as it is still there."""
    name = f"{quoted(schema)}.{_BROUGHT}"
    cursor.execute("SELECT to_regclass(%s)", [name])
    if cursor.fetchone() == (None,):
        return []
    cursor.execute(
        "SELECT b.class, b.object, o.identity"
        f" FROM {name} b, LATERAL pg_identify_object(b.class::oid, b.object::oid, 0) o"
        " WHERE o.identity IS NOT NULL"
    )
    return [SchemaObject(*row) for row in cursor.fetchall()]
