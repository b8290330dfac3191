"""Database backends that keep the rows of each tenant in a schema of its own."""

from __future__ import annotations

from django.db.backends.base.base import BaseDatabaseWrapper

from backup_tasks.errors import Misconfigured

_PACKAGES = frozenset({"django_tenants", "tenant_schemas", "django_pgschemas"})


def refuse(connection: BaseDatabaseWrapper) -> None:
    """Raise Misconfigured for such a backend: one connection reads the schema of one tenant, so a
    backup would lack the rows of all others."""
    for kind in type(connection).__mro__:
        package = kind.__module__.partition(".")[0]
        if package in _PACKAGES:
            raise Misconfigured(
                f"{package} keeps the rows of each tenant in a schema of its own, and a backup "
                "would hold those of one schema only; nothing was written",
                obj=f"database {connection.alias}",
                hint="backup_tasks can't back up schemas of tenants. Use pg_dump for this "
                "database.",
            )
