"""What roles may do with PostgreSQL tables."""

from __future__ import annotations

from typing import Any

from backup_tasks.engines.base import quoted


def copy(cursor: Any, old: str, schema: str, table: str) -> None:
    """Give other roles on the new table what they were granted on the old one."""
    cursor.execute(
        "SELECT CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END,"
        " a.privilege_type, a.is_grantable FROM pg_class c, aclexplode(c.relacl) a"
        " WHERE c.oid = %s::regclass AND a.grantee <> c.relowner",
        [old],
    )
    for grantee, privilege, grantable in cursor.fetchall():
        option = " WITH GRANT OPTION" if grantable else ""
        cursor.execute(
            f"GRANT {privilege} ON {quoted(schema)}.{quoted(table)} TO {grantee}{option}"
        )
