"""Privileges on PostgreSQL databases, functions, types and sequences."""

from __future__ import annotations

from typing import Any

from backup_tasks.engines.base import quoted
from backup_tasks.errors import Misconfigured


def refuse_without_schemas(cursor: Any) -> None:
    """Raise Misconfigured where the role may not make a schema: staging is one."""
    cursor.execute(
        "SELECT has_database_privilege(current_database(), 'CREATE'), current_user::text,"
        " current_database()::text"
    )
    allowed, role, database = cursor.fetchone()
    if not allowed:
        raise Misconfigured(
            f"the role {role} may not make schemas, and staging is one",
            obj=f"database {database}",
            hint=f"GRANT CREATE ON DATABASE {quoted(database)} TO {quoted(role)}",
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
