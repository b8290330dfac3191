"""What hangs on live's tables and can't be carried over to those that replace them.

PostgreSQL knows what depends on a table by the table's identity, not by its name. All of that is
enumerated from its catalogue: what this project does not know is refused like what it can't carry,
by name, before anything is built.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from django.apps import apps

from backup_tasks.engines.base import quoted
from backup_tasks.engines.postgresql.object_definitions import RELATIONS
from backup_tasks.engines.postgresql.partitions import TREE
from backup_tasks.errors import DoesNotFit

_NAMED = 5
"""How many of the objects a message names."""


class Obstacle(NamedTuple):
    """An object that keeps tables from being replaced."""

    obj: str
    why: str
    remedy: str


_MAKE_AGAIN = "Drop it, run this again, and make it anew over the new tables."

# Each a SELECT of (object, why, remedy).
_OBSTACLES = (
    # Kinds of tables.
    """
    SELECT pg_describe_object('pg_class'::regclass, c.oid, 0),
           CASE WHEN c.relkind = 'f' THEN 'it is a foreign table'
                WHEN c.reloftype <> 0 THEN 'it is a table of a type'
                WHEN c.relkind NOT IN ('r', 'p') THEN 'it is a relation of kind ' || c.relkind::text
                WHEN c.relispartition AND NOT parent.oid = ANY(%(oids)s)
                THEN 'it is a partition of ' || parent.oid::regclass || ', which stays'
                ELSE 'it takes part in inheritance' END,
           'It can''t be restored in place of live''s. Leave its model out: BACKUP[''EXCLUDE''].'
      FROM pg_class c LEFT JOIN pg_inherits h ON h.inhrelid = c.oid
      LEFT JOIN pg_class parent ON parent.oid = h.inhparent
     WHERE c.oid = ANY(%(oids)s)
       AND (c.relkind NOT IN ('r', 'p') OR c.reloftype <> 0
            OR parent.oid IS NOT NULL
               AND NOT (c.relispartition AND parent.oid = ANY(%(oids)s))
            OR EXISTS (SELECT 1 FROM pg_inherits i JOIN pg_class child ON child.oid = i.inhrelid
                        WHERE i.inhparent = c.oid AND NOT child.relispartition))
    """,
    """
    SELECT pg_describe_object('pg_class'::regclass, c.oid, 0), format('it is a partition in %%s, '
           'and its table is in %%s', c.relnamespace::regnamespace, %(schema)s::regnamespace),
           format('ALTER TABLE … SET SCHEMA %%s.', %(schema)s::regnamespace)
      FROM pg_class c
     WHERE c.oid = ANY(%(oids)s) AND c.relnamespace <> %(schema)s::regnamespace
    """,
    """
    SELECT pg_describe_object('pg_class'::regclass, h.inhrelid, 0),
           'its DETACH PARTITION CONCURRENTLY did not end',
           'ALTER TABLE … DETACH PARTITION … FINALIZE ends it.'
      FROM pg_inherits h WHERE h.inhrelid = ANY(%(oids)s) AND h.inhdetachpending
    """,
    # Who replaces a table has to own it.
    """
    SELECT pg_describe_object('pg_class'::regclass, c.oid, 0),
           format('it belongs to %%s; %%s is no member of it', c.relowner::regrole, current_user),
           format('GRANT %%s TO %%I, or let the owner''s role do it.', c.relowner::regrole,
                  current_user)
      FROM pg_class c WHERE c.oid = ANY(%(oids)s) AND NOT pg_has_role(c.relowner, 'USAGE')
    """,
    """
    SELECT pg_describe_object('pg_class'::regclass, x.indexrelid, 0), 'it is not valid',
           'REINDEX INDEX CONCURRENTLY makes it valid; or drop it.'
      FROM indexes x WHERE NOT (x.indisready AND x.indislive)
        OR NOT x.indisvalid AND x.relkind <> 'I'
    """,
    """
    SELECT DISTINCT pg_describe_object('pg_class'::regclass, t.tgrelid, 0),
           'the triggers of its foreign keys are not enabled as usual',
           'ALTER TABLE … ENABLE TRIGGER ALL enables them.'
      FROM pg_trigger t WHERE t.tgrelid = ANY(%(oids)s) AND t.tgisinternal AND t.tgenabled <> 'O'
       AND t.tgconstraint <> 0
    """,
    """
    SELECT pg_describe_object('pg_trigger'::regclass, t.oid, 0), 'it looks at another table',
           'Drop it, run this again, and make it anew.'
      FROM pg_trigger t WHERE t.tgrelid = ANY(%(oids)s) AND NOT t.tgisinternal
       AND t.tgconstrrelid <> 0
    """,
    """
    SELECT pg_describe_object('pg_constraint'::regclass, k.oid, 0),
           'it is of a kind that is not known: ' || k.contype::text, 'Drop it.'
      FROM pg_constraint k WHERE k.conrelid = ANY(%(oids)s)
       AND k.contype NOT IN ('p', 'u', 'x', 'c', 'n', 'f', 't')
    """,
    """
    SELECT pg_describe_object('pg_statistic_ext'::regclass, s.oid, 0),
           'it is in another schema than its table', format('ALTER STATISTICS … SET SCHEMA %%s.',
           r.relnamespace::regnamespace)
      FROM pg_statistic_ext s JOIN r ON r.oid = s.stxrelid AND r.relnamespace <> s.stxnamespace
    """,
    # Replication follows tables, not names.
    """
    SELECT 'publication ' || quote_ident(p.pubname), format('it names the table %%s and belongs to '
           '%%s; %%s is no member of it', pr.prrelid::regclass, p.pubowner::regrole, current_user),
           format('GRANT %%s TO %%I; or ALTER PUBLICATION … OWNER TO %%2$I.', p.pubowner::regrole,
                  current_user)
      FROM pg_publication_rel pr JOIN pg_publication p ON p.oid = pr.prpubid
     WHERE pr.prrelid = ANY(%(oids)s) AND NOT pg_has_role(p.pubowner, 'USAGE')
    """,
    """
    SELECT 'publication ' || quote_ident(p.pubname), 'it publishes all tables, staging''s too, '
           'which no subscriber has', 'Drop it, run this again, and make it anew; then each '
           'subscriber says ALTER SUBSCRIPTION … REFRESH PUBLICATION.'
      FROM pg_publication p WHERE p.puballtables AND EXISTS (SELECT 1 FROM r)
    """,
    """
    SELECT 'subscription ' || quote_ident(s.subname), 'it would go on filling the old table '
           || sr.srrelid::regclass, 'Drop it, run this again, and make it anew.'
      FROM pg_subscription_rel sr JOIN pg_subscription s ON s.oid = sr.srsubid
     WHERE sr.srrelid = ANY(%(oids)s)
    """,
    # What belongs to an extension, or goes with one.
    """
    SELECT pg_describe_object(d.classid, d.objid, d.objsubid), 'it is a part of '
           || pg_describe_object(d.refclassid, d.refobjid, 0),
           'The extension makes it: leave its model out (BACKUP[''EXCLUDE'']).'
      FROM belongings b JOIN pg_depend d ON d.classid = b.classoid AND d.objid = b.objoid
     WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e' AND b.objsubid = 0
    """,
)

# What depends on the tables, and on what belongs to them, and is neither.
_DEPENDENTS = (
    RELATIONS
    + """
    , types AS (
        SELECT t.oid FROM pg_type t JOIN r ON r.reltype = t.oid
         UNION ALL SELECT t.typarray FROM pg_type t JOIN r ON r.reltype = t.oid),
    inside AS (
        SELECT classoid, objoid FROM belongings WHERE objsubid = 0
         UNION ALL SELECT 'pg_type'::regclass::oid, oid FROM types
         UNION ALL SELECT 'pg_attrdef'::regclass::oid, d.oid FROM pg_attrdef d
                    WHERE d.adrelid = ANY(%(oids)s)
         UNION ALL SELECT 'pg_constraint'::regclass::oid, k.oid FROM pg_constraint k
                    WHERE k.conrelid = ANY(%(oids)s)
         UNION ALL SELECT 'pg_class'::regclass::oid, r.reltoastrelid FROM r
         UNION ALL SELECT 'pg_class'::regclass::oid, x.indexrelid
                     FROM pg_index x JOIN r ON r.reltoastrelid = x.indrelid
         UNION ALL SELECT 'pg_trigger'::regclass::oid, oid FROM pg_trigger WHERE tgisinternal),
    dependents AS (
        SELECT DISTINCT d.classid, d.objid, d.refclassid, d.refobjid FROM pg_depend d
          JOIN inside i ON i.classoid = d.refclassid AND i.objoid = d.refobjid
         WHERE NOT EXISTS (SELECT 1 FROM inside o
                            WHERE o.classoid = d.classid AND o.objoid = d.objid)
           AND d.classid <> to_regclass('pg_catalog.pg_publication_rel'))
    SELECT pg_describe_object(d.classid, d.objid, 0) AS obj, d.classid::regclass::text AS class,
           pg_describe_object(d.refclassid, d.refobjid, 0)
      FROM dependents d
     WHERE NOT (d.classid = 'pg_constraint'::regclass AND EXISTS (
               SELECT 1 FROM pg_constraint k WHERE k.oid = d.objid AND k.contype = 'f'))
       AND NOT (d.classid = 'pg_rewrite'::regclass AND EXISTS (
               SELECT 1 FROM pg_rewrite w JOIN pg_class v ON v.oid = w.ev_class
                WHERE w.oid = d.objid AND w.rulename = '_RETURN'
                  AND (v.relkind = 'v' OR v.relkind = 'm' AND v.relnamespace IN
                       (SELECT relnamespace FROM r))))
       AND NOT (d.classid = 'pg_proc'::regclass AND EXISTS (
               SELECT 1 FROM pg_proc p WHERE p.oid = d.objid AND p.prosqlbody IS NOT NULL)
           AND NOT EXISTS (SELECT 1 FROM dependents o WHERE o.classid = d.classid
                AND o.objid = d.objid AND o.refclassid = 'pg_type'::regclass))
     ORDER BY 1
"""
)

# Foreign keys of other tables, views and functions are made anew: by their owner.
_OTHERS = """
    SELECT pg_describe_object('pg_proc'::regclass, p.oid, 0), p.proowner::regrole::text
      FROM pg_proc p WHERE p.prosqlbody IS NOT NULL AND NOT pg_has_role(p.proowner, 'USAGE')
       AND EXISTS (SELECT 1 FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass
                      AND d.objid = p.oid AND d.refclassid = 'pg_class'::regclass
                      AND d.refobjid = ANY(%(oids)s))
     UNION
    SELECT pg_describe_object('pg_class'::regclass, o.oid, 0), o.relowner::regrole::text
      FROM (SELECT k.conrelid AS oid FROM pg_constraint k
             WHERE k.contype = 'f' AND k.confrelid = ANY(%(oids)s)
             UNION
            SELECT w.ev_class FROM pg_depend d JOIN pg_rewrite w ON w.oid = d.objid
             WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass
               AND d.refobjid = ANY(%(oids)s)) dependent
      JOIN pg_class o USING (oid)
     WHERE NOT o.oid = ANY(%(oids)s) AND NOT pg_has_role(o.relowner, 'USAGE')
     ORDER BY 1
"""

_DRAWING = """
    SELECT c.relname, a.attname,
           pg_describe_object('pg_class'::regclass, c.oid, a.attnum), s.oid::regclass::text
      FROM pg_attrdef d JOIN tree ON tree.oid = d.adrelid JOIN pg_class c ON c.oid = d.adrelid
      JOIN pg_attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum
      JOIN pg_depend uses ON uses.classid = 'pg_attrdef'::regclass AND uses.objid = d.oid
       AND uses.refclassid = 'pg_class'::regclass
      JOIN pg_class s ON s.oid = uses.refobjid AND s.relkind = 'S'
     WHERE NOT EXISTS (
           SELECT 1 FROM pg_depend owned WHERE owned.classid = 'pg_class'::regclass
              AND owned.objid = s.oid AND owned.deptype IN ('a', 'i')
              AND owned.refobjid IN (SELECT oid FROM tree))
     ORDER BY 1, 2
"""

_KNOWN_CATALOGUES = frozenset(
    {
        "pg_attrdef",
        "pg_attribute",
        "pg_class",
        "pg_constraint",
        "pg_depend",
        "pg_description",
        "pg_extension",
        "pg_foreign_table",
        "pg_index",
        "pg_inherits",
        "pg_init_privs",
        "pg_partitioned_table",
        "pg_policy",
        "pg_publication_rel",
        "pg_rewrite",
        "pg_seclabel",
        "pg_sequence",
        "pg_shdepend",
        "pg_shdescription",
        "pg_shseclabel",
        "pg_statistic",
        "pg_statistic_ext",
        "pg_subscription_rel",
        "pg_trigger",
        "pg_type",
    }
)
"""Those that refer to relations, and that this project looks at, or need not."""


def refuse(cursor: Any, schema: str, tables: Sequence[str], *, loading: bool = False) -> None:
    """Raise DoesNotFit, naming what hangs on the tables and would be lost, or would go on using the
    old ones, if they were replaced. `loading`: a clone of them is yet to be loaded."""
    found = obstacles(cursor, schema, tables)
    if loading:
        found += _drawing_from_live(cursor, schema, tables)
    if found:
        named = [f"{obstacle.obj}: {obstacle.why}" for obstacle in found[:_NAMED]]
        if len(found) > _NAMED:
            named.append(f"and {len(found) - _NAMED} more")
        raise DoesNotFit(
            f"what hangs on live's tables can't be carried over: {'; '.join(named)}",
            obj=found[0].obj,
            hint="Live data was not touched. "
            + " ".join(dict.fromkeys(obstacle.remedy for obstacle in found[:_NAMED])),
        )


def obstacles(cursor: Any, schema: str, tables: Sequence[str]) -> list[Obstacle]:
    """Return what keeps the tables of the schema from being replaced."""
    cursor.execute(TREE + "SELECT oid::bigint FROM tree", [quoted(schema), list(tables)])
    asked = {"oids": [oid for (oid,) in cursor.fetchall()], "schema": quoted(schema)}
    found: list[Obstacle] = []
    for query in _OBSTACLES:
        cursor.execute(RELATIONS + query + " ORDER BY 1", asked)
        found += [Obstacle(*row) for row in cursor.fetchall()]
    cursor.execute(_DEPENDENTS, asked)
    found += [_dependent(*row) for row in cursor.fetchall()]
    cursor.execute(_OTHERS, asked)
    found += [
        Obstacle(name, f"it belongs to {owner}", f"GRANT {owner} to the role of the database.")
        for name, owner in cursor.fetchall()
    ]
    found += _in_unknown_catalogues(cursor, asked)
    return [*{obstacle.obj: obstacle for obstacle in reversed(found)}.values()][::-1]


def _dependent(obj: str, catalogue: str, on: str) -> Obstacle:
    why = f"it would go on using the old {on}"
    if catalogue == "pg_proc":
        return Obstacle(obj, why, f"{_MAKE_AGAIN} Or write its body as a string.")
    return Obstacle(obj, why, _MAKE_AGAIN)


def _drawing_from_live(cursor: Any, schema: str, tables: Sequence[str]) -> Iterator[Obstacle]:
    """Columns that no model fills, whose default draws from a sequence that stays: each row that is
    loaded into staging would draw a number of live's."""
    filled = {
        (model._meta.db_table, field.column)
        for model in apps.get_models(include_auto_created=True)
        for field in model._meta.local_concrete_fields
    }
    cursor.execute(TREE + _DRAWING, [quoted(schema), list(tables)])
    for table, column, obj, sequence in cursor.fetchall():
        if (table, column) not in filled:
            yield Obstacle(
                obj,
                f"no model fills it, and its default draws from sequence {sequence}, which no "
                "replaced table owns",
                f"ALTER SEQUENCE {sequence} OWNED BY {quoted(table)}.{quoted(column)}; or drop the "
                "default.",
            )


def _in_unknown_catalogues(cursor: Any, asked: Any) -> list[Obstacle]:
    """What a later PostgreSQL keeps about relations, in a catalogue of its own."""
    cursor.execute(
        "SELECT fktable::text, fkcols[1], is_array FROM pg_get_catalog_foreign_keys()"
        " WHERE pktable = 'pg_class'::regclass AND NOT fktable::text = ANY(%s)",
        [[*_KNOWN_CATALOGUES]],
    )
    found = []
    for catalogue, column, is_array in cursor.fetchall():
        there = f"{column} && %(oids)s::oid[]" if is_array else f"{column} = ANY(%(oids)s)"
        cursor.execute(f"SELECT count(*) FROM {catalogue} WHERE {there}", asked)
        (number,) = cursor.fetchone()
        if number:
            found.append(
                Obstacle(
                    f"catalogue {catalogue}",
                    f"it has {number} entries about the tables, of a kind that is not known",
                    "A newer version of this project may know it.",
                )
            )
    return found
