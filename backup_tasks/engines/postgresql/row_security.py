"""Row-level security of PostgreSQL: every row, or an error; never the rows that a policy shows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from backup_tasks.engines.base import quoted
from backup_tasks.errors import Misconfigured

OFF = "SET LOCAL row_security = off"
"""Until the transaction ends, the server raises an error where a policy would hide rows."""


def refuse_hidden_rows(cursor: Any, schema: str, tables: Sequence[str]) -> None:
    """Raise Misconfigured, naming the tables of which this role sees some of the rows only."""
    cursor.execute(
        "SELECT c.relname, current_user::text FROM pg_class c"
        " WHERE c.relnamespace = to_regnamespace(%s) AND c.relname = ANY(%s)"
        " AND row_security_active(c.oid) ORDER BY c.relname",
        [quoted(schema), list(tables)],
    )
    found = cursor.fetchall()
    if not found:
        return
    names = [name for name, _ in found]
    role = found[0][1]
    raise Misconfigured(
        f"row-level security hides rows from the role {role}, in {', '.join(names)}: a backup "
        "would lack them, and a restore could not write them",
        obj=f"table {names[0]}",
        hint=f"A superuser can say: ALTER ROLE {quoted(role)} BYPASSRLS. Or name another role in "
        "DATABASES, of an alias for backups (BACKUP['DATABASE']). For the owner of a table, ALTER "
        f"TABLE {quoted(names[0])} NO FORCE ROW LEVEL SECURITY is enough.",
    )
