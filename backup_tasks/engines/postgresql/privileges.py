"""Privileges on PostgreSQL databases, functions, types and sequences."""

from __future__ import annotations

from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

from backup_tasks.engines.base import qualified, quoted
from backup_tasks.errors import Misconfigured

# Each a SELECT of (what the role may not do, the grant that it lacks). That the tables are its own
# is for the inventory to say.
_LACKING = """
    SELECT 'make schemas, and staging is one',
           format('CREATE ON DATABASE %%I', current_database())
     WHERE NOT has_database_privilege(current_database(), 'CREATE')
     UNION ALL
    SELECT format('make tables in the schema %%I, and a promote moves them there', nspname),
           format('CREATE, USAGE ON SCHEMA %%I', nspname)
      FROM pg_namespace WHERE nspname = %(live)s
       AND NOT (has_schema_privilege(oid, 'CREATE') AND has_schema_privilege(oid, 'USAGE'))
     UNION ALL
    SELECT 'write django_migrations, and a promote does',
           'SELECT, INSERT, DELETE ON TABLE ' || oid::regclass
      FROM pg_class WHERE oid = to_regclass(%(migrations)s)
       AND NOT (has_table_privilege(oid, 'SELECT') AND has_table_privilege(oid, 'INSERT')
                AND has_table_privilege(oid, 'DELETE'))
     UNION ALL
    SELECT 'use the sequence of django_migrations, and a promote does',
           'USAGE ON SEQUENCE ' || s.oid::regclass
      FROM pg_depend d JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S'
     WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass
       AND d.refobjid = to_regclass(%(migrations)s) AND d.deptype = 'a'
       AND NOT has_sequence_privilege(s.oid, 'USAGE')
"""


def refuse_without(connection: BaseDatabaseWrapper, live: str) -> None:
    """Raise Misconfigured where the role lacks a privilege that a promote needs: to make schemas,
    to make tables in live's, to write django_migrations."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_user::text, current_database()::text")
        role, database = cursor.fetchone()
        cursor.execute(_LACKING, {"live": live, "migrations": qualified(live, "django_migrations")})
        lacking = cursor.fetchall()
    if lacking:
        raise Misconfigured(
            f"the role {role} may not " + "; nor may it ".join(what for what, _ in lacking),
            obj=f"database {database}",
            hint="; ".join(f"GRANT {grant} TO {quoted(role)}" for _, grant in lacking),
        )


# By what SQL calls a kind of object: the column of its grants, its catalogue, its word in GRANT.
_GRANTED = {
    "FUNCTION": ("proacl", "pg_proc", "ROUTINE"),
    "PROCEDURE": ("proacl", "pg_proc", "ROUTINE"),
    "AGGREGATE": ("proacl", "pg_proc", "ROUTINE"),
    "TYPE": ("typacl", "pg_type", "TYPE"),
    "SEQUENCE": ("relacl", "pg_class", "SEQUENCE"),
}


def copy_of_object(cursor: Any, old: int, named: str) -> None:
    """Let roles do with a function, type or sequence what they were granted on the old one, of that
    oid, and nothing else. `named` is it as SQL writes it, its kind first: `TYPE public.colour`."""
    kind, _, identity = named.partition(" ")
    if kind not in _GRANTED:
        return
    column, catalogue, word = _GRANTED[kind]
    cursor.execute(
        "SELECT CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END,"
        f" a.privilege_type, a.is_grantable FROM {catalogue} c, aclexplode(c.{column}) a"
        " WHERE c.oid = %s",
        [old],
    )
    if granted := cursor.fetchall():
        cursor.execute(f"REVOKE ALL ON {word} {identity} FROM PUBLIC")
    for grantee, privilege, grantable in granted:
        option = " WITH GRANT OPTION" if grantable else ""
        cursor.execute(f"GRANT {privilege} ON {word} {identity} TO {grantee}{option}")
