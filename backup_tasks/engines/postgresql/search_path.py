"""Where a transaction has to be on PostgreSQL, and where the server says it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from backup_tasks.engines.base import quoted
from backup_tasks.engines.postgresql import outside_staging
from backup_tasks.errors import (
    BackupError,
    DatabaseUnavailable,
    HandoverChanged,
    LeftStaging,
    Misconfigured,
)

MARK = "backup_tasks.transaction"

WHERE = (
    "SELECT current_schema()::text, to_regnamespace(%s)::oid::bigint,"
    " (SELECT oid::bigint FROM pg_database WHERE datname = current_database()),"
    " extract(epoch FROM pg_postmaster_start_time())::text, coalesce(current_setting(%s, true), '')"
)


class Where(NamedTuple):
    """Where a transaction is, as the server says it."""

    schema: str | None
    schema_oid: int | None
    database: int
    server_started: str
    mark: str


@dataclass(frozen=True, kw_only=True)
class Expected:
    """Where the transactions of a guarded connection have to be."""

    schema: str
    live_path: tuple[str, ...]
    """Live's own search path, live's schema first: types, functions, operators, collations and text
    search configurations that staging lacks are found there, as live finds them."""
    schema_oid: int
    database: int
    server_started: str
    connect: outside_staging.Connect

    @property
    def path(self) -> str:
        """The search path as SQL writes it: the schema's own things come first."""
        return ", ".join(map(quoted, dict.fromkeys((self.schema, *self.live_path))))

    @classmethod
    def of(cls, cursor: Any, schema: str, connect: outside_staging.Connect) -> Expected:
        """Ask a connection to live. Raises HandoverChanged if there is no such schema."""
        cursor.execute(WHERE, [quoted(schema), MARK])
        where = Where(*cursor.fetchone())
        if where.schema_oid is None:
            raise gone(schema)
        cursor.execute("SELECT current_schemas(false)::text[]")
        (path,) = cursor.fetchone()
        return cls(
            schema=schema,
            live_path=tuple(path),
            schema_oid=where.schema_oid,
            database=where.database,
            server_started=where.server_started,
            connect=connect,
        )


def problem(where: Where, expected: Expected, mark: str | None) -> BackupError | None:
    """Return what is wrong with where a transaction is."""
    schema = f"schema {expected.schema}"
    if where.database != expected.database or where.server_started != expected.server_started:
        return DatabaseUnavailable(
            "the server was restarted, or another server or database answered",
            obj=schema,
            hint="A pooler that spreads connections over several servers must not for this one.",
        )
    if where.schema_oid != expected.schema_oid:
        return gone(expected.schema)
    if where.mark != mark:
        return ended("something")
    if where.schema != expected.schema:
        return Misconfigured(
            f"what was to be in {schema} is in schema {where.schema}; nothing was written",
            obj=schema,
            hint="Something sets search_path again in the middle of a transaction: a database "
            "backend of the project's (ENGINE), an execute wrapper, a function or a migration. It "
            "has to leave the path alone.",
        )
    return None


def schema_oid(cursor: Any, schema: str) -> int | None:
    """Return what tells a schema from a later one of the same name; None if there is none."""
    cursor.execute("SELECT to_regnamespace(%s)::oid::bigint", [quoted(schema)])
    (oid,) = cursor.fetchone()
    return None if oid is None else int(oid)


def gone(schema: str) -> HandoverChanged:
    """Return the error of an attempt whose schema another one has removed."""
    return HandoverChanged(
        "the schema is gone, or was made anew: another attempt or run did that",
        obj=f"schema {schema}",
        hint="Live data was not touched. Start the run again, unless another worker goes on with "
        "it.",
    )


def ended(text: str) -> LeftStaging:
    """Return the error for SQL that ended its transaction."""
    return LeftStaging(
        f"{text} ends or begins a transaction by itself, in SQL; it was not sent or not committed",
        obj="staging",
        hint="Live data was not touched. Migrations, seeds and checks must leave BEGIN, COMMIT and "
        "ROLLBACK to Django: take it out of the SQL (atomic = False gives each statement a "
        "transaction of its own).",
    )
