"""Where a PostgreSQL transaction is: in which schema, database and server. The server is asked, and
the answer compared with what is expected."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

from django.db.backends.base.base import BaseDatabaseWrapper

from backup_tasks.engines.base import quoted
from backup_tasks.engines.postgresql import outside_staging
from backup_tasks.errors import (
    BackupError,
    DatabaseUnavailable,
    HandoverChanged,
    LeftStaging,
    Misconfigured,
)

_MAX_EXAMPLES = 5

_LIVE_SCHEMA = """
    SELECT coalesce((SELECT n.nspname::text FROM pg_class c
                       JOIN pg_namespace n ON n.oid = c.relnamespace
                      WHERE c.oid = to_regclass('django_migrations')), current_schema()::text)
"""
TRANSACTION_ID_SETTING = "backup_tasks.transaction"

LOCATION_QUERY = (
    "SELECT current_schema()::text, to_regnamespace(%s)::oid::bigint,"
    " (SELECT oid::bigint FROM pg_database WHERE datname = current_database()),"
    " extract(epoch FROM pg_postmaster_start_time())::text, coalesce(current_setting(%s, true), '')"
)


class Location(NamedTuple):
    """Where the server says that a transaction is."""

    schema: str | None
    schema_oid: int | None
    database: int
    server_started: str
    transaction_id: str


@dataclass(frozen=True, kw_only=True)
class ExpectedLocation:
    """Where the transactions of a guarded connection must be."""

    schema: str
    live_schema: str
    live_path: tuple[str, ...]
    """Live's own search path: types, functions, operators, collations and text search
    configurations that staging lacks are found there, as live finds them."""
    schema_oid: int
    database: int
    server_started: str
    connect: outside_staging.Connect

    @property
    def path(self) -> str:
        """The search path as SQL writes it: the schema's own things come first."""
        return ", ".join(map(quoted, dict.fromkeys((self.schema, *self.live_path))))

    @classmethod
    def of(cls, cursor: Any, schema: str, connect: outside_staging.Connect) -> ExpectedLocation:
        """Return the location of a schema, asking live. Raises HandoverChanged if it does not
        exist."""
        cursor.execute(LOCATION_QUERY, [quoted(schema), TRANSACTION_ID_SETTING])
        location = Location(*cursor.fetchone())
        if location.schema_oid is None:
            raise schema_gone(schema)
        cursor.execute("SELECT current_schemas(false)::text[]")
        (path,) = cursor.fetchone()
        return cls(
            schema=schema,
            live_schema=find_live_schema(cursor),
            live_path=tuple(path),
            schema_oid=location.schema_oid,
            database=location.database,
            server_started=location.server_started,
            connect=connect,
        )


def location_error(
    location: Location, expected: ExpectedLocation, transaction_id: str | None
) -> BackupError | None:
    """Return the error if a transaction is not where it is expected. `transaction_id` is the one
    that it was given when it began."""
    schema = f"schema {expected.schema}"
    if location.database != expected.database or location.server_started != expected.server_started:
        return DatabaseUnavailable(
            "the server was restarted, or another server or database answered",
            obj=schema,
            hint="A pooler that spreads connections over several servers must not for this one.",
        )
    if location.schema_oid != expected.schema_oid:
        return schema_gone(expected.schema)
    if location.transaction_id != transaction_id:
        return transaction_ended("something")
    if location.schema != expected.schema:
        return Misconfigured(
            f"what was to be in {schema} is in schema {location.schema}; nothing was written",
            obj=schema,
            hint="Something sets search_path again in the middle of a transaction: a database "
            "backend of the project's (ENGINE), an execute wrapper, a function or a migration. It "
            "has to leave the path alone.",
        )
    return None


def find_live_schema(cursor: Any) -> str:
    """Return the schema in which a transaction on live finds `django_migrations`: the tables that
    migrations made are there, even if its search path begins with another schema. Where there is
    none yet, return the schema in which it would be made."""
    cursor.execute(_LIVE_SCHEMA)
    (schema,) = cursor.fetchone()
    return str(schema)


def tables_elsewhere(cursor: Any, schema: str, tables: Sequence[str]) -> dict[str, str]:
    """Return, of tables that the search path leads to in another schema, the qualified names."""
    cursor.execute(
        "SELECT t.name, format('%%I.%%I', n.nspname, c.relname)"
        " FROM unnest(%s::text[], %s::text[]) t(name, quoted)"
        " JOIN pg_class c ON c.oid = to_regclass(t.quoted)"
        " JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname <> %s ORDER BY 2",
        [list(tables), [quoted(table) for table in tables], schema],
    )
    return dict(cursor.fetchall())


def schema_oid(cursor: Any, schema: str) -> int | None:
    """Return the oid of a schema, None if it does not exist. A later schema of the same name has
    another oid."""
    cursor.execute("SELECT to_regnamespace(%s)::oid::bigint", [quoted(schema)])
    (oid,) = cursor.fetchone()
    return None if oid is None else int(oid)


def schema_gone(schema: str) -> HandoverChanged:
    """Return the error for a schema that another attempt or run has dropped."""
    return HandoverChanged(
        "the schema is gone, or was made anew: another attempt or run did that",
        obj=f"schema {schema}",
        hint="Live data was not touched. Start the run again, unless another worker goes on with "
        "it.",
    )


def transaction_ended(text: str) -> LeftStaging:
    """Return the error for SQL that begins or ends a transaction. `text` names it."""
    return LeftStaging(
        f"{text} ends or begins a transaction by itself, in SQL; it was not sent or not committed",
        obj="staging",
        hint="Live data was not touched. Migrations, seeds and checks must leave BEGIN, COMMIT and "
        "ROLLBACK to Django: take it out of the SQL (atomic = False gives each statement a "
        "transaction of its own).",
    )


def left_staging(schema: str, names: Sequence[str]) -> LeftStaging:
    """Return the error for a transaction that changed, or read, what `names` lists."""
    more = f" and {len(names) - _MAX_EXAMPLES} more" if len(names) > _MAX_EXAMPLES else ""
    return LeftStaging(
        "it would have changed what is outside of staging, or read live's rows, and was rolled "
        "back: " + ", ".join(names[:_MAX_EXAMPLES]) + more,
        obj=f"schema {schema}",
        hint="Live data was not touched. Name no schema in the SQL of migrations, seeds, checks, "
        "functions and triggers: what they name without one is found in staging, and in live when "
        "they run there.",
    )


@contextmanager
def live_cursor(live: BaseDatabaseWrapper) -> Iterator[Any]:
    """Give a cursor of a new connection to live, in autocommit mode."""
    connection = live.copy()
    connection.settings_dict["OPTIONS"].pop("pool", None)
    try:
        with connection.cursor() as cursor:
            yield cursor
    finally:
        connection.close()
