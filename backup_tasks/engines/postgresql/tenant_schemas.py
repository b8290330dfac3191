"""Database backends that keep the rows of each tenant in a schema of its own."""

from __future__ import annotations

from django.db.backends.base.base import BaseDatabaseWrapper

from backup_tasks.errors import Misconfigured

_PACKAGES = frozenset({"django_tenants", "tenant_schemas", "django_pgschemas"})
_NAMED = 10
"""How many schemas a message names."""
_SCHEMAS = (
    "SELECT schemaname FROM pg_catalog.pg_tables WHERE tablename = 'django_migrations' ORDER BY 1"
)


def refuse(connection: BaseDatabaseWrapper, *, ask: bool) -> None:
    """Raise Misconfigured for such a backend: one connection reads the schema of one tenant, so a
    backup would lack the rows of all others. The message names the schemas if the database may be
    asked."""
    for kind in type(connection).__mro__:
        package = kind.__module__.partition(".")[0]
        if package in _PACKAGES:
            schemas = f" ({_listed(connection)})" if ask else ""
            raise Misconfigured(
                f"{package} keeps the rows of each tenant in a schema of its own{schemas}, and a "
                "backup would hold those of one schema only; nothing was written",
                obj=f"database {connection.alias}",
                hint="backup_tasks can't back up schemas of tenants. Use pg_dump for this "
                "database, with --schema=NAME for one tenant.",
            )


def _listed(connection: BaseDatabaseWrapper) -> str:
    with connection.cursor() as cursor:
        cursor.execute(_SCHEMAS)
        names = [name for (name,) in cursor.fetchall()]
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
