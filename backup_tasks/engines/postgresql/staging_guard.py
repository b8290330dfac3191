"""Staging is staging because the server says so.

A search path is believed by nobody: a pooler may ignore the option that set it, or give each
transaction another connection; a handler, or a backend of the project, may set another one (T22).
So each transaction of a guarded connection begins with a search path of its own, asks the server
where it is before the first query, and asks again before it commits; and then the server also says
what the transaction has locked or written outside. If there is anything, it is rolled back.

That holds for whatever is sent over the connection: by the ORM, by raw cursors, by the driver's own
connection. What would run without a transaction gets one.
"""

from __future__ import annotations

import inspect
import itertools
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.executor import MigrationExecutor

from backup_tasks.engines.base import quoted
from backup_tasks.engines.postgresql import outside_staging, statements
from backup_tasks.errors import (
    BackupError,
    DatabaseUnavailable,
    HandoverChanged,
    LeftStaging,
    Misconfigured,
)

_NUMBERS = itertools.count(1)
_MARK = "backup_tasks.transaction"
_NO_QUERY = frozenset({"SET", "LOCK", "SAVEPOINT", "RELEASE", "ROLLBACK", ""})
"""They read nothing: a transaction of one moment, which it chooses itself, has not begun yet."""
_PATH = re.compile("search_path", re.IGNORECASE)
_NAMED = 5

_WHERE = (
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
    schema_oid: int
    database: int
    server_started: str
    connect: outside_staging.Connect

    @classmethod
    def of(cls, cursor: Any, schema: str, connect: outside_staging.Connect) -> Expected:
        """Ask a connection to live. Raises HandoverChanged if there is no such schema."""
        cursor.execute(_WHERE, [quoted(schema), _MARK])
        where = Where(*cursor.fetchone())
        if where.schema_oid is None:
            raise _gone(schema)
        return cls(
            schema=schema,
            schema_oid=where.schema_oid,
            database=where.database,
            server_started=where.server_started,
            connect=connect,
        )


class Guard:
    """Keeps one connection of the driver where it has to be."""

    def __init__(self, raw: Any, expected: Expected, connection: GuardedConnection) -> None:
        self._raw, self._expected, self._connection = raw, expected, connection
        self._mark: str | None = None
        """Of the transaction that is open; None before it has begun."""
        self._confirmed = False
        self._plain = raw.cursor_factory
        self._commit, self._transaction = raw.commit, raw.transaction
        raw.commit, raw.transaction = self.commit, self.transaction
        raw.cursor_factory = guarded(raw.cursor_factory, self)
        raw.server_cursor_factory = guarded(raw.server_cursor_factory, self)

    @contextmanager
    def around(self, query: Any) -> Iterator[Any]:
        """Around each statement; gives it as it is to be sent."""
        text = self._text(query)
        self._refuse_text(text)
        sent = statements.without_concurrently(query) if isinstance(query, str) else query
        if self._raw.autocommit and self._is_idle():
            with self.transaction():
                self._before(text)
                yield sent
                self._after(text)
        else:
            self._before(text)
            yield sent
            self._after(text)

    @contextmanager
    def transaction(self, *arguments: Any, **options: Any) -> Iterator[Any]:
        """In place of the driver's own: asked before it commits, too."""
        if self._is_idle():
            self._mark = None
        with self._transaction(*arguments, **options) as transaction:
            yield transaction
            self.check()

    def commit(self) -> None:
        """In place of the driver's own."""
        try:
            self.check()
        except BackupError:
            self._raw.rollback()
            raise
        self._commit()
        self._mark = None

    def begin(self) -> None:
        """Give the transaction its search path; it begins with this if it has not begun yet."""
        if self._mark is None or self._is_idle():
            self._mark, self._confirmed = str(next(_NUMBERS)), False
            path = f"SET LOCAL search_path = {quoted(self._expected.schema)}"
            self._execute(f"{path}; SET LOCAL {_MARK} = '{self._mark}'")

    def check(self) -> None:
        """Raise what speaks against a commit: see `confirm`."""
        if self._connection.refusal:
            raise self._connection.refusal
        if self._raw.info.transaction_status.name != "INTRANS":
            return
        if self._mark is None:
            self.begin()
        self.confirm()
        with self._plain(self._raw) as cursor:
            schema = self._expected.schema
            catalogue = self._connection.watches_catalogue
            done = outside_staging.found(
                cursor, schema, self._expected.connect, catalogue=catalogue
            )
        if done.names:
            self._connection.sequences_outside += done.sequences
            self._refuse(_left(schema, done))

    def _before(self, text: str) -> None:
        if self._connection.refusal:
            raise self._connection.refusal
        self.begin()
        if not self._confirmed and statements.first_word(text) not in _NO_QUERY:
            self.confirm()

    def _after(self, text: str) -> None:
        if self._is_idle():
            self._refuse(_ended(text))
        if _PATH.search(text) and self._raw.info.transaction_status.name == "INTRANS":
            self._execute(f"SET LOCAL search_path = {quoted(self._expected.schema)}")

    def _refuse_text(self, text: str) -> None:
        if self._connection.refusal:
            raise self._connection.refusal
        if control := statements.transaction_control(text):
            self._refuse(_ended(control))

    def confirm(self) -> None:
        """Ask the server where the transaction is. Raises Misconfigured, HandoverChanged,
        DatabaseUnavailable, LeftStaging."""
        expected = self._expected
        with self._plain(self._raw) as cursor:
            cursor.execute(_WHERE, [quoted(expected.schema), _MARK])
            where = Where(*cursor.fetchone())
        if problem := _problem(where, expected, self._mark):
            self._refuse(problem)
        self._confirmed = True

    def _refuse(self, error: BackupError) -> None:
        if isinstance(error, LeftStaging) and (migration := _migration_at_work()):
            error = LeftStaging(error.what, obj=f"migration {migration}", hint=error.hint)
        self._connection.refusal = error
        raise error

    def _execute(self, text: str) -> None:
        with self._plain(self._raw) as cursor:
            cursor.execute(text)

    def _is_idle(self) -> bool:
        return bool(self._raw.info.transaction_status.name == "IDLE")

    def _text(self, query: Any) -> str:
        if isinstance(query, bytes):
            return query.decode(errors="replace")
        return query if isinstance(query, str) else str(query.as_string(self._raw))


def _problem(where: Where, expected: Expected, mark: str | None) -> BackupError | None:
    """Return what is wrong with where a transaction is."""
    schema = f"schema {expected.schema}"
    if where.database != expected.database or where.server_started != expected.server_started:
        return DatabaseUnavailable(
            "the server was restarted, or another server or database answered",
            obj=schema,
            hint="A pooler that spreads connections over several servers must not for this one.",
        )
    if where.schema_oid != expected.schema_oid:
        return _gone(expected.schema)
    if where.mark != mark:
        return _ended("something")
    if where.schema != expected.schema:
        return Misconfigured(
            f"what was to be in {schema} is in schema {where.schema}; nothing was written",
            obj=schema,
            hint="Something sets search_path again in the middle of a transaction: a database "
            "backend of the project's (ENGINE), an execute wrapper, a function or a migration. It "
            "has to leave the path alone.",
        )
    return None


def _migration_at_work() -> str:
    """Return the migration that is being applied, if one is; Django tells it to nobody."""
    frame = inspect.currentframe()
    while frame is not None:
        if frame.f_code is MigrationExecutor.apply_migration.__code__:
            return str(frame.f_locals["migration"])
        frame = frame.f_back
    return ""


def _gone(schema: str) -> HandoverChanged:
    return HandoverChanged(
        "the schema is gone, or was made anew: another attempt or run did that",
        obj=f"schema {schema}",
        hint="Live data was not touched. Start the run again, unless another worker goes on with "
        "it.",
    )


def _ended(text: str) -> LeftStaging:
    return LeftStaging(
        f"{text} ends or begins a transaction by itself, in SQL; it was not sent or not committed",
        obj="staging",
        hint="Live data was not touched. Migrations, seeds and checks must leave BEGIN, COMMIT and "
        "ROLLBACK to Django: take it out of the SQL (atomic = False gives each statement a "
        "transaction of its own).",
    )


def _left(schema: str, done: outside_staging.Found) -> LeftStaging:
    more = f" and {len(done.names) - _NAMED} more" if len(done.names) > _NAMED else ""
    return LeftStaging(
        "it would have changed what is outside of staging, and was rolled back: "
        + ", ".join(done.names[:_NAMED])
        + more,
        obj=f"schema {schema}",
        hint="Live data was not touched. Name no schema in the SQL of migrations, seeds, checks, "
        "functions and triggers: what they name without one is found in staging, and in live when "
        "they run there.",
    )


def guarded(factory: type[Any], guard: Guard) -> type[Any]:
    """Return the driver's class of cursors, guarded."""
    return type(factory.__name__, (_GuardedCursor, factory), {"guard": guard})


class _GuardedCursor:
    """What a cursor sends goes through the guard."""

    guard: Guard

    def execute(self, query: Any, *arguments: Any, **options: Any) -> Any:
        with self.guard.around(query) as query:
            return super().execute(query, *arguments, **options)  # type: ignore[misc]

    def executemany(self, query: Any, *arguments: Any, **options: Any) -> Any:
        with self.guard.around(query) as query:
            return super().executemany(query, *arguments, **options)  # type: ignore[misc]

    def stream(self, query: Any, *arguments: Any, **options: Any) -> Iterator[Any]:
        with self.guard.around(query) as query:
            yield from super().stream(query, *arguments, **options)  # type: ignore[misc]

    @contextmanager
    def copy(self, query: Any, *arguments: Any, **options: Any) -> Iterator[Any]:
        with (
            self.guard.around(query) as query,
            super().copy(query, *arguments, **options) as copy,  # type: ignore[misc]
        ):
            yield copy


class GuardedConnection:
    """Mixed into the class of the project's connection."""

    expected: Expected
    watches_catalogue = True
    """Whether functions, types and grants are looked for outside: not where no code of the
    project's runs."""
    guard: Guard | None = None
    refusal: BackupError | None = None
    """What was refused once stays so, whoever caught the error."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.sequences_outside: list[str] = []
        """Whose numbers may have changed all the same: no rollback brings them back."""

    def get_new_connection(self, *arguments: Any, **options: Any) -> Any:
        raw = super().get_new_connection(*arguments, **options)  # type: ignore[misc]
        self.guard = Guard(raw, self.expected, self)
        return raw

    def chunked_cursor(self) -> Any:
        """The driver's connection makes no such cursor itself, and outside of a transaction it
        would outlive the one that it is given."""
        connection: Any = self
        connection.ensure_connection()
        assert self.guard is not None
        if connection.connection.autocommit:
            return connection.cursor()
        self.guard.begin()
        self.guard.confirm()
        return super().chunked_cursor()  # type: ignore[misc]

    def _commit(self) -> None:
        try:
            super()._commit()  # type: ignore[misc]
        except BackupError:
            self.run_on_commit: Sequence[Any] = []
            raise


def connection_to(
    like: BaseDatabaseWrapper, expected: Expected, **options: Any
) -> BaseDatabaseWrapper:
    """Return a new connection with the settings of another, which stays in a schema."""
    kind = type(like)
    made: type[BaseDatabaseWrapper] = type(
        kind.__name__, (GuardedConnection, kind), {"expected": expected}
    )
    settings = like.copy().settings_dict
    settings["OPTIONS"] = {**settings["OPTIONS"], **options}
    settings["OPTIONS"].pop("pool", None)  # a pool hands out connections by alias: live ones
    return made(settings, like.alias)
