"""Which aliases of a project lead to one database.

The settings tell most of it: the same file or the same server and name, or a replica
(`TEST["MIRROR"]`). What they don't tell, such as two names of one host, a pooler's port or a
physical replica, the servers tell.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.db import DatabaseError, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from backup_tasks.engines.postgresql.location import find_live_schema


@dataclass(frozen=True, kw_only=True)
class Identity:
    """What a server says of the database that a connection leads to."""

    server: tuple[str, ...]
    """What no other server has."""
    database: str
    cluster: str = ""
    """What a server has in common with its physical replicas."""
    is_replica: bool = False

    def is_same(self, other: Identity) -> bool:
        if self.database != other.database:
            return False
        if self.server == other.server:
            return True
        return bool(self.cluster == other.cluster != "" and (self.is_replica or other.is_replica))


def aliases_of(alias: str) -> list[str]:
    """Return the aliases that lead to the alias's database, as far as the settings tell. Asks no
    database."""
    here = _location(alias)
    return [other for other in connections if other == alias or _location(other) == here]


def lead_to_one_database(alias: str, other: str) -> bool:
    """Whether the two aliases lead to one database, or one to a replica of the other's.

    Asks the servers where the settings do not tell. Raises django.db errors.
    """
    if other in aliases_of(alias):
        return True
    first, second = connections[alias], connections[other]
    if first.vendor != second.vendor:
        return False
    identity = _IDENTITIES[first.vendor]
    return identity(first).is_same(identity(second))


def _location(alias: str) -> tuple[Any, ...]:
    """Return what the settings say of where the alias's database is: the primary's of a replica."""
    seen: set[str] = set()
    while (mirrored := _settings(alias).get("TEST", {}).get("MIRROR")) and alias not in seen:
        seen.add(alias)
        alias = mirrored
    entry = _settings(alias)
    engine, name = str(entry.get("ENGINE", "")), str(entry.get("NAME", ""))
    if "sqlite" in engine:
        if name == ":memory:":  # of each connection its own
            return engine, alias
        return engine, name if "mode=memory" in name else str(Path(name).resolve())
    options = entry.get("OPTIONS", {})
    beside = [str(options.get(key, "")) for key in ("options", "service", "read_default_file")]
    return engine, str(entry.get("HOST", "")), str(entry.get("PORT", "")), name, *beside


def _settings(alias: str) -> Mapping[str, Any]:
    return dict(connections.settings.get(alias, {}))


def _of_file(connection: BaseDatabaseWrapper) -> Identity:
    name = str(connection.settings_dict["NAME"])
    try:
        found = Path(name).stat()
    except OSError:
        return Identity(server=(name,), database=connection.alias)
    return Identity(server=(str(found.st_dev),), database=str(found.st_ino))


def _of_postgresql(connection: BaseDatabaseWrapper) -> Identity:
    with connection.cursor() as cursor:
        schema = find_live_schema(cursor)
        cursor.execute(
            "SELECT extract(epoch FROM pg_postmaster_start_time())::text, current_database(),"
            " pg_is_in_recovery()"
        )
        started, name, is_replica = cursor.fetchone()
    cluster = ""
    try:
        with transaction.atomic(connection.alias), connection.cursor() as cursor:
            cursor.execute("SELECT system_identifier::text FROM pg_control_system()")
            (cluster,) = cursor.fetchone()
    except DatabaseError:
        pass  # a server may keep it from ordinary roles: then a replica is another server
    return Identity(
        server=(started, cluster),
        database=f"{name} {schema}",
        cluster=cluster,
        is_replica=is_replica,
    )


def _of_mariadb(connection: BaseDatabaseWrapper) -> Identity:
    with connection.cursor() as cursor:
        cursor.execute("SELECT @@hostname, @@port, @@datadir, DATABASE()")
        *server, name = map(str, cursor.fetchone())
        # Containers may have these in common, but hardly made the same database at one moment.
        cursor.execute(
            "SELECT group_concat(table_name, create_time ORDER BY table_name) FROM"
            " information_schema.tables WHERE table_schema = DATABASE()"
            " AND table_name LIKE 'django%%'"
        )
        (created,) = cursor.fetchone()
        cursor.execute("SHOW GLOBAL VARIABLES LIKE 'server_uid'")
        server += [str(created), str(cursor.fetchone())]
    return Identity(server=tuple(server), database=name)


_IDENTITIES: Mapping[str, Callable[[BaseDatabaseWrapper], Identity]] = {
    "sqlite": _of_file,
    "postgresql": _of_postgresql,
    "mysql": _of_mariadb,
}
