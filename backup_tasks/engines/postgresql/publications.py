"""Publications of PostgreSQL whose tables others replace.

A publication knows its tables by their identity, and would go on with the old ones (T25). So it is
given the new ones in the transaction of the swap. What their rows are is not published: each
subscriber has to copy them again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from django.db import connections, transaction

from backup_tasks.engines.base import qualified, quoted
from backup_tasks.engines.postgresql.partitions import with_partitions
from backup_tasks.engines.postgresql.views import create_over_new_tables

_SINCE_15 = 150000
"""The server's version that has column lists, row filters and TABLES IN SCHEMA."""

_NAMED = """
    SELECT p.pubname, c.relname, {columns}, {filter}
      FROM pg_publication_rel pr JOIN pg_publication p ON p.oid = pr.prpubid
      JOIN pg_class c ON c.oid = pr.prrelid
     WHERE c.relnamespace = to_regnamespace(%s) AND c.relname = ANY(%s)
     ORDER BY p.pubname, c.relname
"""
_COLUMNS = (
    "(SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum) FROM pg_attribute a"
    " WHERE a.attrelid = c.oid AND a.attnum = ANY(pr.prattrs))"
)
_FILTER = "pg_get_expr(pr.prqual, c.oid)"
_OF_SCHEMA = """
    SELECT p.pubname FROM pg_publication_namespace pn JOIN pg_publication p ON p.oid = pn.pnpubid
     WHERE pn.pnnspid = to_regnamespace(%s) ORDER BY 1
"""


class Member(NamedTuple):
    """A table of a publication."""

    publication: str
    table: str
    columns: str | None
    filter: str | None


def find(cursor: Any, schema: str, tables: Sequence[str]) -> list[Member]:
    """Return what publications say of the tables of the schema."""
    columns, condition = (_COLUMNS, _FILTER) if _is_since_15(cursor) else ("NULL", "NULL")
    cursor.execute(_NAMED.format(columns=columns, filter=condition), [quoted(schema), list(tables)])
    return [Member(*row) for row in cursor.fetchall()]


def names(alias: str, schema: str, tables: Sequence[str]) -> list[str]:
    """Return the publications that name one of the tables or partitions, or their schema."""
    with transaction.atomic(alias), connections[alias].cursor() as cursor:
        members = find(cursor, schema, with_partitions(cursor, schema, tables))
        found = [member.publication for member in members]
        if tables and _is_since_15(cursor):
            cursor.execute(_OF_SCHEMA, [quoted(schema)])
            found += [name for (name,) in cursor.fetchall()]
        return sorted(set(found))


def replace(cursor: Any, found: Sequence[Member], live: str, keep: str) -> None:
    """Let the publications name live's tables in place of those in `keep`. Raises DoesNotFit if the
    new ones lack a column that a publication names."""
    for member in found:
        publication = f"publication {member.publication}"
        alter = f"ALTER PUBLICATION {quoted(member.publication)}"
        columns = f" ({member.columns})" if member.columns else ""
        condition = f" WHERE ({member.filter})" if member.filter else ""
        cursor.execute(f"{alter} DROP TABLE ONLY {qualified(keep, member.table)}")
        add = f"{alter} ADD TABLE ONLY {qualified(live, member.table)}{columns}{condition}"
        create_over_new_tables(cursor, add, publication)


def _is_since_15(cursor: Any) -> bool:
    cursor.execute("SELECT current_setting('server_version_num')::int >= %s", [_SINCE_15])
    return bool(cursor.fetchone()[0])
