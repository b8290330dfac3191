"""The structure of PostgreSQL tables: copied from one schema to another, and compared.

`object_definitions` tells what hangs on tables. Definitions are read while live's own search path
is set, so that they name its tables, types and functions without a schema, and executed while the
copy comes first on the path: types and functions are found where live finds them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from django.db import transaction

from backup_tasks.engines.base import qualified, quoted
from backup_tasks.engines.postgresql import columns
from backup_tasks.engines.postgresql.create_statements import SEQUENCES, TABLES
from backup_tasks.engines.postgresql.many_statements import Statement, execute_all
from backup_tasks.engines.postgresql.object_definitions import (
    COMPARED,
    DEFINITIONS,
    NAMED,
    RELATIONS,
    Definition,
)
from backup_tasks.engines.postgresql.partitions import with_partitions

Key = tuple[str, str, str]
"""Table, kind and name of an object."""
_BEFORE_ATTACHED = ("not null", "constraint", "index")

_SCRATCH = "backup_tasks_scratch"
"""A schema that no other connection ever sees."""


def tables_in(cursor: Any, schema: str, tables: Sequence[str]) -> list[str]:
    """Return those of the tables that are there."""
    cursor.execute(
        "SELECT relname FROM pg_class WHERE relnamespace = %s::regnamespace"
        " AND relkind IN ('r', 'p') AND relname = ANY(%s) ORDER BY relname",
        [quoted(schema), list(tables)],
    )
    return [name for (name,) in cursor.fetchall()]


def clone(cursor: Any, source: str, target: str, tables: Sequence[str]) -> list[str]:
    """Make empty copies of the tables, and a full one of `django_migrations`; return what is not
    equal all the same, in words. Inside a transaction, whose search path is live's."""
    wanted = copy(cursor, source, target, [*tables, "django_migrations"])
    columns.copy_rows(cursor, source, target, "django_migrations")
    return _differences(cursor, source, target, tables, wanted)


def copy(
    cursor: Any, source: str, target: str, tables: Sequence[str], *, without: Collection[str] = ()
) -> list[Definition]:
    """Make empty copies of the tables in the schema `target`, with all that hangs on them but the
    kinds in `without`; return what hangs on them. Inside a transaction, whose search path is
    live's. Raises DoesNotFit."""
    names = with_partitions(cursor, source, tables)
    wanted = definitions(cursor, source, names, told_for=target)
    create_tables(cursor, source, target, tables, wanted)
    _make(cursor, source, target, names, [made for made in wanted if made.kind not in without])
    return wanted


def create_tables(
    cursor: Any, source: str, target: str, tables: Sequence[str], wanted: Sequence[Definition]
) -> None:
    """Make empty copies of the tables and partitions that are not there, with their columns and
    sequences, and without what an INSERT would have to keep up. `wanted` is what hangs on them.
    Inside a transaction, whose search path is live's."""
    names = with_partitions(cursor, source, tables)
    missing = set(names).difference(tables_in(cursor, target, names))
    create, sequences = _creating(cursor, source, target, names, missing)
    first = [made for made in wanted if made.kind == "sequence" and made.table in missing]
    with looking_in(cursor, target):
        # What an option of the session would choose is written in each statement, or is not live's.
        cursor.execute("SELECT set_config('default_tablespace', '', true)")
        execute_all(cursor, _of_tables(create + sequences[0]))
        forget_default_privileges(cursor, target, [*missing])
        execute_all(
            cursor, (Statement(f"{made.text} RESTART", f"sequence {made.name}") for made in first)
        )
        execute_all(cursor, _of_tables(sequences[1]))


def _of_tables(statements: Sequence[tuple[str, str]]) -> Iterator[Statement]:
    for table, text in statements:
        yield Statement(text, f"table {table}")


def complete(cursor: Any, source: str, target: str, tables: Sequence[str]) -> None:
    """Make what hangs on the tables of the source and is not there on those of the target. Inside a
    transaction, whose search path is live's. Raises DoesNotFit for what can't be made."""
    names = _of_both(cursor, source, target, tables)
    wanted = definitions(cursor, source, names, told_for=target)
    if added := set(names) - {*tables, *tables_in(cursor, target, names)}:
        create_tables(cursor, source, target, tables, wanted)
        # A partition with keys and indexes of its own is given no others when it is attached.
        wanted.sort(key=lambda made: not (made.table in added and made.kind in _BEFORE_ATTACHED))
    _make(cursor, source, target, names, wanted)


def give_to_same_roles(cursor: Any, source: str, target: str, tables: Sequence[str]) -> None:
    """Let tables of whatever structure belong to who owns the source's, and let roles do with them
    what they may do with those. Inside a transaction, like `complete`."""
    names = tables_in(cursor, target, with_partitions(cursor, source, tables))
    wanted = definitions(cursor, source, names, told_for=target)
    roles = [definition for definition in wanted if _is_of_table_s_roles(definition)]
    _make(cursor, source, target, names, roles)


def _of_both(cursor: Any, source: str, target: str, tables: Sequence[str]) -> list[str]:
    """Return the tables, with the partitions that they have in the two schemas."""
    return with_partitions(cursor, target, with_partitions(cursor, source, tables))


def _is_of_table_s_roles(definition: Definition) -> bool:
    return definition.kind in ("owner", "privileges") and definition.name in (
        "itself",
        definition.table,
    )


def _make(
    cursor: Any, source: str, target: str, tables: Sequence[str], wanted: Sequence[Definition]
) -> None:
    _let_roles_in(cursor, source, target, tables)
    with looking_in(cursor, target):
        there = set(definitions(cursor, target, tables, told_for=target))
        known = {definition[:3] for definition in there if definition.kind in NAMED}
        execute_all(
            cursor,
            (
                Statement(made.text, _described(made))
                for made in wanted
                if made not in there and made.kind not in COMPARED and made[:3] not in known
            ),
        )


def differences(cursor: Any, source: str, target: str, tables: Sequence[str]) -> list[str]:
    """Return in words how the tables of the two schemas differ in structure. Inside a transaction,
    whose search path is live's.

    The text of an expression need not read back as the same text (T26): texts that differ are
    parsed once more, both of them, before they count as different.
    """
    names = _of_both(cursor, source, target, tables)
    wanted = definitions(cursor, source, names, told_for=target)
    return _differences(cursor, source, target, names, wanted)


def _differences(
    cursor: Any, source: str, target: str, tables: Sequence[str], wanted: Sequence[Definition]
) -> list[str]:
    names = _of_both(cursor, source, target, tables)
    theirs, ours = _different(cursor, source, target, names, wanted)
    return sorted(map(str, theirs | ours))


def missing_in(cursor: Any, source: str, target: str, tables: Sequence[str]) -> list[str]:
    """Return what the tables of the source have and those of the target have not, in words; without
    their owners and privileges, which a promote gives to whatever tables."""
    names = _of_both(cursor, source, target, tables)
    wanted = definitions(cursor, source, names, told_for=target)
    theirs, _ = _different(cursor, source, target, names, wanted)
    found = sorted(_described(each) for each in theirs if not _is_of_table_s_roles(each))
    return [each.replace(f"{quoted(target)}.", "") for each in found]


def _different(
    cursor: Any, source: str, target: str, tables: Sequence[str], wanted: Sequence[Definition]
) -> tuple[set[Definition], set[Definition]]:
    """Return what only one of the two has: the source, where the tables have what is `wanted`, and
    the target."""
    theirs = {made for made in wanted if made.table in tables}
    with looking_in(cursor, target):
        ours = set(definitions(cursor, target, tables, told_for=target))
    theirs, ours = theirs - ours, ours - theirs
    if again := _worth_parsing(theirs) & _worth_parsing(ours):
        # What was made from a text reads like the text, parsed once.
        parsed = _parsed_once_more(cursor, source, target, again)
        equal = {definition[:3] for definition in parsed & ours}
        if left := again - equal:
            also = _parsed_once_more(cursor, target, target, left)
            equal |= {definition[:3] for definition in parsed & also}
        theirs = {definition for definition in theirs if definition[:3] not in equal}
        ours = {definition for definition in ours if definition[:3] not in equal}
    return theirs, ours


def definitions(
    cursor: Any, schema: str, names: Sequence[str], *, told_for: str
) -> list[Definition]:
    """Return what hangs on tables and materialized views of a schema, in the order in which it is
    made, as the statements that make it in the schema `told_for`."""
    found = _oids(cursor, schema, names)
    asked = {"oids": [*found], "schema": quoted(told_for)}
    result = []
    for query in DEFINITIONS:
        cursor.execute(RELATIONS + query, asked)
        result += [Definition(found[oid], *rest) for oid, *rest in cursor.fetchall()]
    return result


@contextmanager
def looking_in(cursor: Any, *schemas: str) -> Iterator[None]:
    """Inside, the transaction finds names in the schemas before it looks where it did."""
    cursor.execute("SELECT current_setting('search_path'), current_schemas(false)::text[]")
    before, path = cursor.fetchone()
    now = ", ".join(map(quoted, dict.fromkeys((*schemas, *path))))
    cursor.execute("SELECT set_config('search_path', %s, true)", [now])
    yield
    cursor.execute("SELECT set_config('search_path', %s, true)", [before])


def _oids(cursor: Any, schema: str, names: Sequence[str]) -> dict[int, str]:
    cursor.execute(
        "SELECT oid, relname FROM pg_class WHERE relnamespace = %s::regnamespace"
        " AND relkind IN ('r', 'p', 'm') AND relname = ANY(%s) ORDER BY relname",
        [quoted(schema), list(names)],
    )
    return dict(cursor.fetchall())


def _creating(
    cursor: Any, source: str, target: str, tables: Sequence[str], missing: Collection[str]
) -> tuple[list[tuple[str, str]], list[list[tuple[str, str]]]]:
    """Return the statements that make those of the tables that are missing, and those that make
    their sequences and the defaults that draw from one of the tables', each with its table."""
    asked = {"oids": [*_oids(cursor, source, tables)], "schema": quoted(target)}
    found = []
    for query in (TABLES, *(RELATIONS + query for query in SEQUENCES)):
        cursor.execute(query, asked)
        found.append([made for made in cursor.fetchall() if made[0] in missing])
    create, *sequences = found
    return create, sequences


def forget_default_privileges(cursor: Any, schema: str, names: Sequence[str]) -> None:
    """Take back what ALTER DEFAULT PRIVILEGES has granted on what was made: live's may be older."""
    cursor.execute(
        RELATIONS + "SELECT format('REVOKE ALL ON %%s %%s FROM %%s; GRANT ALL ON %%1$s %%2$s TO"
        " %%4$s', p.word, p.here, string_agg(DISTINCT CASE a.grantee WHEN 0 THEN 'PUBLIC'"
        "  ELSE a.grantee::regrole::text END, ', '), p.role::regrole)"
        " FROM privileges p, aclexplode(p.acl) a WHERE p.columns IS NULL"
        " GROUP BY p.word, p.here, p.role",
        {"oids": [*_oids(cursor, schema, names)], "schema": quoted(schema)},
    )
    execute_all(cursor, (Statement(text, f"schema {schema}") for (text,) in cursor.fetchall()))


def _let_roles_in(cursor: Any, source: str, target: str, tables: Sequence[str]) -> None:
    """Who is to own a table needs its schema, for foreign keys too; so does who granted others what
    had been granted to him."""
    oids = [*_oids(cursor, source, tables)]
    cursor.execute(
        RELATIONS + "SELECT format('GRANT USAGE%%s ON SCHEMA %%s TO %%s',"
        " CASE WHEN bool_or(owns) THEN ', CREATE' END, %(schema)s::text, role::regrole)"
        " FROM (SELECT relowner AS role, true AS owns FROM r"
        "        UNION SELECT grantor, false FROM grants) roles"
        " WHERE role <> (SELECT nspowner FROM pg_namespace WHERE oid = %(schema)s::regnamespace)"
        " GROUP BY role",
        {"oids": oids, "schema": quoted(target)},
    )
    execute_all(cursor, (Statement(text, f"schema {target}") for (text,) in cursor.fetchall()))


def _worth_parsing(found: set[Definition]) -> set[Key]:
    """Return the objects with an expression. A foreign key has none, and would lock what it leads
    to; NOT NULL has none, and would be what LIKE has made."""
    return {
        (table, kind, name)
        for table, kind, name, text in found
        if kind in NAMED and kind != "not null" and " FOREIGN KEY " not in text
    }


def _parsed_once_more(
    cursor: Any, schema: str, told_for: str, keys: Collection[Key]
) -> set[Definition]:
    """Return what the texts of these objects read as when they have been executed; nothing stays.

    On empty tables that no one else sees.
    """
    tables = sorted({table for table, _, _ in keys})
    objects = definitions(cursor, schema, tables, told_for=_SCRATCH)
    with transaction.atomic(cursor.db.alias):
        cursor.execute(f"CREATE SCHEMA {_SCRATCH}")
        with looking_in(cursor, _SCRATCH, schema):
            for table in tables:
                cursor.execute(
                    "SELECT 'PARTITION BY ' || pg_get_partkeydef(%s::regclass)",
                    [qualified(schema, table)],
                )
                cursor.execute(
                    f"CREATE TABLE {qualified(_SCRATCH, table)} (LIKE {qualified(schema, table)}"
                    f" INCLUDING GENERATED) {cursor.fetchone()[0] or ''}"
                )
            execute_all(
                cursor,
                (Statement(made.text, _described(made)) for made in objects if made[:3] in keys),
            )
            found = definitions(cursor, _SCRATCH, tables, told_for=told_for)
        transaction.set_rollback(True, cursor.db.alias)
    return {definition for definition in found if definition[:3] in keys}


def _described(definition: Definition) -> str:
    on = "" if definition.name == "itself" else f" {definition.name}"
    return f"{definition.kind}{on} of table {definition.table}"
