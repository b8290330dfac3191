"""The structure of live's tables as it was when a staging schema was made to replace them, or when
an undo schema had been filled.

The schema holds it in a table of its own. A promote of the schema replaces live's tables, so what
was changed in their structure since then would be lost: an index that an administrator has added, a
column of a migration. It is compared when live's tables are locked.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from backup_tasks.engines.base import quoted
from backup_tasks.engines.postgresql import partitions, table_definitions
from backup_tasks.engines.postgresql.object_definitions import DEFINITIONS, RELATIONS
from backup_tasks.errors import DoesNotFit

TABLE = "backup_tasks_structure"
_NAMED = 5
_ROLES = ("owner", "privileges")

_NOW = (
    RELATIONS
    + ", now AS (SELECT c.relname::text, d.kind::text, d.name::text, d.text::text FROM ("
    + " UNION ALL ".join(f"({query})" for query in DEFINITIONS)
    + ") d (oid, kind, name, text) JOIN pg_class c ON c.oid = d.oid)"
)


# A row of the catalogue gets another xmin by any DDL that changes it, not by ANALYZE or VACUUM.
_FINGERPRINT = """
    WITH r AS (SELECT oid FROM pg_class
                WHERE relnamespace = %(live)s::regnamespace AND relkind IN ('r', 'p')),
    i AS (SELECT x.indexrelid AS oid, x.xmin AS version
            FROM pg_index x JOIN r ON r.oid = x.indrelid),
    s AS (SELECT d.objid AS oid FROM pg_depend d JOIN r ON r.oid = d.refobjid
           WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass
             AND d.deptype IN ('a', 'i')),
    k AS (SELECT c.oid, c.xmin AS version FROM pg_constraint c JOIN r ON r.oid = c.conrelid),
    t AS (SELECT c.oid, c.xmin AS version FROM pg_trigger c JOIN r ON r.oid = c.tgrelid),
    p AS (SELECT c.oid, c.xmin AS version FROM pg_policy c JOIN r ON r.oid = c.polrelid),
    w AS (SELECT c.oid, c.xmin AS version FROM pg_rewrite c JOIN r ON r.oid = c.ev_class),
    x AS (SELECT c.oid, c.xmin AS version FROM pg_statistic_ext c JOIN r ON r.oid = c.stxrelid),
    o AS (SELECT oid FROM r UNION SELECT oid FROM i UNION SELECT oid FROM s UNION
          SELECT oid FROM k UNION SELECT oid FROM t UNION SELECT oid FROM p UNION
          SELECT oid FROM w UNION SELECT oid FROM x),
    everything (oid, number, version) AS (
        SELECT c.oid, 0, c.xmin FROM pg_class c JOIN o USING (oid)
         UNION ALL SELECT a.attrelid, a.attnum, a.xmin FROM pg_attribute a JOIN r ON oid = attrelid
         UNION ALL SELECT d.adrelid, d.adnum, d.xmin FROM pg_attrdef d JOIN r ON r.oid = d.adrelid
         UNION ALL SELECT q.seqrelid, 0, q.xmin FROM pg_sequence q JOIN s ON s.oid = q.seqrelid
         UNION ALL SELECT d.objoid, d.objsubid, d.xmin FROM pg_description d JOIN o ON oid = objoid
         UNION ALL SELECT l.objoid, l.objsubid, l.xmin FROM pg_seclabel l JOIN o ON oid = objoid
         UNION ALL SELECT oid, 0, version FROM i UNION ALL SELECT oid, 0, version FROM k
         UNION ALL SELECT oid, 0, version FROM t UNION ALL SELECT oid, 0, version FROM p
         UNION ALL SELECT oid, 0, version FROM w UNION ALL SELECT oid, 0, version FROM x)
    SELECT count(*) || ' ' || coalesce(sum(hashtextextended(
           concat_ws(' ', oid, number, version::text), 0)::numeric), 0) FROM everything
"""
_UNKNOWN = "live's tables: altered or rewritten, and it is not recorded how they were made"


def record(cursor: Any, live: str, schema: str) -> None:
    """Record in the schema how the tables of live are made now, instead of what it has recorded."""
    mark(cursor, live, schema)
    _record_definitions(cursor, live, schema)


def mark(cursor: Any, live: str, schema: str) -> None:
    """Record just by what is found, later, that something has changed. It takes some milliseconds,
    so live's tables may be locked."""
    forget(cursor, schema)
    cursor.execute(
        f"CREATE TABLE {_table(schema)}"
        " (relname text NOT NULL, kind text NOT NULL, name text NOT NULL, definition text)"
    )
    row = ["", "fingerprint", "", _fingerprint(cursor, live)]
    cursor.execute(f"INSERT INTO {_table(schema)} VALUES (%s, %s, %s, %s)", row)


def record_marked(cursor: Any, live: str, schema: str) -> None:
    """Record how live's tables are made, if nothing has changed since `mark`. Without this a change
    is noticed all the same, and can't be named."""
    if _marked(cursor, schema) == _fingerprint(cursor, live):
        _record_definitions(cursor, live, schema)


def forget(cursor: Any, schema: str) -> None:
    """Let a promote of the schema replace tables of whatever structure."""
    cursor.execute(f"DROP TABLE IF EXISTS {_table(schema)}")


def changes(
    cursor: Any, live: str, schema: str, tables: Sequence[str], *, carried: bool = True
) -> list[str]:
    """Return what has changed in the structure of live's tables since it was recorded, in words.

    With `carried`, without what a promote gives to the new tables. A table that is gone has nothing
    to lose. Nothing if nothing is recorded, as in a schema of an earlier version.
    """
    cursor.execute("SELECT to_regclass(%s)", [_table(schema)])
    if cursor.fetchone() == (None,) or _marked(cursor, schema) == _fingerprint(cursor, live):
        return []
    cursor.execute(f"SELECT EXISTS (SELECT FROM {_table(schema)} WHERE relname <> '')")
    if cursor.fetchone() == (False,):
        return [_UNKNOWN]
    present = table_definitions.tables_in(cursor, live, tables)
    names = {*partitions.with_partitions(cursor, live, present)}
    known = f"SELECT * FROM {_table(schema)} WHERE relname <> ''"
    rows = _execute(
        cursor,
        live,
        f"{_NOW} (SELECT true, * FROM (SELECT * FROM now EXCEPT ALL {known}) added)"
        f" UNION ALL (SELECT false, * FROM ({known} EXCEPT ALL SELECT * FROM now) gone)"
        " ORDER BY 2, 3, 4",
    )
    found = [row for row in rows if row[1] in names]
    now = {row[1:4] for row in found if row[0]}
    gone = {row[1:4] for row in found if not row[0]}
    return [
        f"{table}: {kind}{'' if name == 'itself' else f' {name}'} {_word(key in now, key in gone)}"
        for key in sorted(now | gone)
        for table, kind, name in [key]
        if not (carried and key in now and _is_carried(key, now))
    ]


def _is_carried(key: tuple[str, str, str], now: set[tuple[str, str, str]]) -> bool:
    """Whether a promote gives what is new to whatever tables replace live's: a table's owner and
    grants, extended statistics. What is gone it does not take from them: a grant that was revoked.
    """
    table, kind, name = key
    if kind in _ROLES and name in ("itself", table):
        return True
    return kind in ("statistics", "owner") and (table, "statistics", name) in now


def _word(is_there: bool, was_there: bool) -> str:
    if is_there and was_there:
        return "was changed"
    return "was added" if is_there else "was removed"


def refuse_changed(
    cursor: Any, live: str, schema: str, tables: Sequence[str], *, carried: bool = False
) -> None:
    """Raise DoesNotFit, naming it, if the structure of live's tables has changed."""
    if found := changes(cursor, live, schema, tables, carried=carried):
        more = f"; and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
        raise DoesNotFit(
            "the structure of live's tables has changed since the tables that are to replace them "
            f"were made or kept, and would be lost: {'; '.join(found[:_NAMED])}{more}",
            obj=f"schema {live}",
            hint="Live was not changed. Start the run again.",
        )


def _record_definitions(cursor: Any, live: str, schema: str) -> None:
    _execute(cursor, live, f"INSERT INTO {_table(schema)} {_NOW} SELECT * FROM now")


def _fingerprint(cursor: Any, live: str) -> str:
    cursor.execute(_FINGERPRINT, {"live": quoted(live)})
    return str(cursor.fetchone()[0])


def _marked(cursor: Any, schema: str) -> str:
    cursor.execute(f"SELECT definition FROM {_table(schema)} WHERE relname = ''")
    return str(cursor.fetchone()[0])


def _execute(cursor: Any, live: str, statement: str) -> list[Any]:
    """Execute a statement over the definitions of live's tables, and return its rows. Their text
    depends on the search path, which is always the same here."""
    cursor.execute(
        "SELECT coalesce(array_agg(oid::bigint), '{}') FROM pg_class"
        " WHERE relnamespace = %s::regnamespace AND relkind IN ('r', 'p')",
        [quoted(live)],
    )
    (oids,) = cursor.fetchone()
    cursor.execute("SELECT current_setting('search_path')")
    (before,) = cursor.fetchone()
    cursor.execute("SELECT set_config('search_path', %s, true)", [quoted(live)])
    cursor.execute(statement, {"oids": oids, "schema": quoted(live)})
    rows: list[Any] = cursor.fetchall() if cursor.description else []
    cursor.execute("SELECT set_config('search_path', %s, true)", [before])
    return rows


def _table(schema: str) -> str:
    return f"{quoted(schema)}.{TABLE}"
