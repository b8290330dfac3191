"""Staging is staging because the server says so.

A search path is believed by nobody: a pooler may ignore the option that set it, or give each
transaction another connection; a handler, or a backend of the project, may set another one (T22).
So each transaction of a guarded connection begins with a search path of its own, asks the server
where it is before the first query, and asks again before it commits. After each statement the
server says what the transaction has locked outside, and before the commit what it has written to
the catalogue. If there is anything, it is rolled back.

Staging's own tables come first in that path, and live's schemas after them: extensions, types and
functions are found where live finds them. A table that is found there is refused, though only read.
DROP … IF EXISTS sees staging alone: what is there only in live does not exist.

That holds for whatever is sent over the connection: by the ORM, by raw cursors, by the driver's own
connection. What would run without a transaction gets one.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from django.db import Error
from django.db.backends.base.base import BaseDatabaseWrapper

from backup_tasks.engines.base import quoted
from backup_tasks.engines.postgresql import outside_staging, row_security, sequences, statements
from backup_tasks.engines.postgresql.location import (
    LOCATION_QUERY,
    TRANSACTION_ID_SETTING,
    ExpectedLocation,
    Location,
    left_staging,
    location_error,
    transaction_ended,
)
from backup_tasks.engines.postgresql.swap import LOCK_TIMEOUT_MS
from backup_tasks.engines.running_migration import running_migration
from backup_tasks.errors import BackupError, LeftStaging

_TRANSACTION_IDS = itertools.count(1)
_TAKE_NO_SNAPSHOT = frozenset({"SET", "LOCK", "SAVEPOINT", "RELEASE", "ROLLBACK", ""})
"""They read nothing: a transaction of one moment, which it chooses itself, has not begun yet."""
_SEARCH_PATH = re.compile("search_path", re.IGNORECASE)


class Guard:
    """Keeps one connection of the driver where it has to be."""

    def __init__(self, raw: Any, expected: ExpectedLocation, connection: GuardedConnection) -> None:
        self._raw, self._expected, self._connection = raw, expected, connection
        self._errors = connection.wrap_database_errors
        """Inside, the driver's errors are Django's."""
        self._transaction_id: str | None = None
        """Of the transaction that is open; None before it has begun."""
        self._location_confirmed = False
        self._cursor = raw.cursor_factory
        self._commit, self._rollback = raw.commit, raw.rollback
        raw.commit, raw.rollback = self.commit, self.rollback
        self._transaction, raw.transaction = raw.transaction, self.transaction
        raw.cursor_factory = guarded_cursor_class(raw.cursor_factory, self)
        raw.server_cursor_factory = guarded_cursor_class(raw.server_cursor_factory, self)

    @contextmanager
    def statement(self, query: Any) -> Iterator[Any]:
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
        """Replace the driver's method: the transaction is checked before it commits."""
        if self._is_idle():
            self._transaction_id = None
        with self._transaction(*arguments, **options) as transaction:
            yield transaction
            self.check_before_commit()

    def commit(self) -> None:
        """Replace the driver's method: the transaction is checked first."""
        try:
            self.check_before_commit()
        except BackupError:
            self._rollback()
            raise
        self._commit()
        self._transaction_id = None

    def rollback(self) -> None:
        """Replace the driver's method: used sequences are noted, as no rollback resets them."""
        if self._raw.info.transaction_status.name == "INTRANS":
            with suppress(Error), self._errors, self._cursor(self._raw) as cursor:
                changes = outside_staging.relations(cursor, self._expected.schema, None)
                self._connection.used_sequences |= changes.sequences
        self._rollback()

    def end(self) -> None:
        """Before the connection is closed: note what sequences its session has used."""
        if (before := self._connection.sequences_before) is None:
            return
        with suppress(Error), self._errors:  # one that is broken tells nothing
            self._raw.rollback()
            self._raw.autocommit = True
            with self._cursor(self._raw) as cursor:
                schema = self._expected.schema
                used = sequences.used_by_session(cursor, self._errors, schema, before)
                self._connection.used_sequences |= used

    def begin(self) -> None:
        """Give the transaction its search path; it begins with this if it has not begun yet."""
        if self._transaction_id is None or self._is_idle():
            self._transaction_id, self._location_confirmed = str(next(_TRANSACTION_IDS)), False
            settings = f"SET LOCAL {TRANSACTION_ID_SETTING} = '{self._transaction_id}'"
            if self._runs_project_code:
                # Nobody else uses staging: what has to wait waits for a client of live's.
                settings += f"; SET LOCAL lock_timeout = {LOCK_TIMEOUT_MS}"
            self._execute(f"{self._search_path_sql()}; {settings}")

    def check_before_commit(self) -> None:
        """Raise what speaks against a commit: see `confirm_location`."""
        if self._connection.refusal:
            raise self._connection.refusal
        if self._raw.info.transaction_status.name != "INTRANS":
            return
        if self._transaction_id is None:
            self.begin()
        self.confirm_location()
        self._refuse_relations()
        if self._runs_project_code:
            self._refuse_objects()

    def _refuse_relations(self) -> None:
        expected = self._expected
        live = expected.live_schema if self._runs_project_code else None
        with self._cursor(self._raw) as cursor:
            changes = outside_staging.relations(cursor, expected.schema, live)
        if changes.names:
            self._connection.used_sequences |= changes.sequences
            self._refuse(left_staging(expected.schema, changes.names))

    def _refuse_objects(self) -> None:
        schema = self._expected.schema
        # What is elsewhere is then named with its schema.
        self._execute(self._search_path_sql(staging_only=True))
        with self._cursor(self._raw) as cursor:
            changes = outside_staging.objects(cursor, schema, self._expected.connect)
        self._execute(self._search_path_sql())  # deferred triggers are still to run
        if changes:
            self._refuse(left_staging(schema, changes))

    def _before(self, text: str) -> None:
        if self._connection.refusal:
            raise self._connection.refusal
        self.begin()
        if not self._location_confirmed and statements.first_word(text) not in _TAKE_NO_SNAPSHOT:
            self.confirm_location()
        if statements.drops_if_exists(text):
            self._execute(self._search_path_sql(staging_only=True))

    def _after(self, text: str) -> None:
        if self._is_idle():
            self._refuse(transaction_ended(text))
        if self._raw.info.transaction_status.name != "INTRANS":
            return
        if self._runs_project_code and self._location_confirmed:
            # At once: a lock on a table of live's keeps its clients waiting. Not before the
            # transaction has its snapshot: what locks first and reads then would read the past.
            self._refuse_relations()
        if _SEARCH_PATH.search(text) or statements.drops_if_exists(text):
            self._execute(self._search_path_sql())

    @property
    def _runs_project_code(self) -> bool:
        return self._connection.runs_project_code

    def _search_path_sql(self, *, staging_only: bool = False) -> str:
        """Return the SQL that sets the search path, of staging alone if so, and shows every row."""
        path = quoted(self._expected.schema) if staging_only else self._expected.path
        return f"SET LOCAL search_path = {path}; {row_security.OFF}"

    def _refuse_text(self, text: str) -> None:
        if self._connection.refusal:
            raise self._connection.refusal
        if control := statements.transaction_control(text):
            self._refuse(transaction_ended(control))

    def confirm_location(self) -> None:
        """Ask the server where the transaction is. Raises Misconfigured, HandoverChanged,
        DatabaseUnavailable, LeftStaging."""
        expected = self._expected
        with self._cursor(self._raw) as cursor:
            cursor.execute(LOCATION_QUERY, [quoted(expected.schema), TRANSACTION_ID_SETTING])
            location = Location(*cursor.fetchone())
        if wrong := location_error(location, expected, self._transaction_id):
            self._refuse(wrong)
        self._location_confirmed = True

    def _refuse(self, error: BackupError) -> None:
        if isinstance(error, LeftStaging) and (migration := running_migration()):
            error = LeftStaging(error.what, obj=f"migration {migration}", hint=error.hint)
        self._connection.refusal = error
        raise error

    def _execute(self, text: str) -> None:
        with self._cursor(self._raw) as cursor:
            cursor.execute(text)

    def _is_idle(self) -> bool:
        return bool(self._raw.info.transaction_status.name == "IDLE")

    def _text(self, query: Any) -> str:
        if isinstance(query, bytes):
            return query.decode(errors="replace")
        return query if isinstance(query, str) else str(query.as_string(self._raw))


def guarded_cursor_class(factory: type[Any], guard: Guard) -> type[Any]:
    """Return the driver's class of cursors, guarded."""
    return type(factory.__name__, (_GuardedCursor, factory), {"guard": guard})


class _GuardedCursor:
    """What a cursor sends goes through the guard."""

    guard: Guard

    def execute(self, query: Any, *arguments: Any, **options: Any) -> Any:
        # A DROP … IF EXISTS sees less than what follows it in the same text.
        if not any(arguments) and isinstance(query, str) and statements.drops_if_exists(query):
            *first, query = statements.split(query)
            for statement in first:
                with self.guard.statement(statement) as sent:
                    super().execute(sent, *arguments, **options)  # type: ignore[misc]
        with self.guard.statement(query) as sent:
            return super().execute(sent, *arguments, **options)  # type: ignore[misc]

    def executemany(self, query: Any, *arguments: Any, **options: Any) -> Any:
        with self.guard.statement(query) as sent:
            return super().executemany(sent, *arguments, **options)  # type: ignore[misc]

    def stream(self, query: Any, *arguments: Any, **options: Any) -> Iterator[Any]:
        with self.guard.statement(query) as sent:
            yield from super().stream(sent, *arguments, **options)  # type: ignore[misc]

    @contextmanager
    def copy(self, query: Any, *arguments: Any, **options: Any) -> Iterator[Any]:
        with (
            self.guard.statement(query) as sent,
            super().copy(sent, *arguments, **options) as copy,  # type: ignore[misc]
        ):
            yield copy


class GuardedConnection(BaseDatabaseWrapper):
    """Mixed into the class of the project's connection."""

    expected: ExpectedLocation
    runs_project_code = True
    """Whether functions, types and grants are looked for outside, and reading live is refused."""
    guard: Guard | None = None
    refusal: BackupError | None = None
    """What was refused once stays so, whoever caught the error."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.introspection = _introspection(self)
        self.sequences_before: sequences.LastValues | None = None
        self.used_sequences: set[str] = set()

    def get_new_connection(self, *arguments: Any, **options: Any) -> Any:
        raw = super().get_new_connection(*arguments, **options)
        self.guard = Guard(raw, self.expected, self)
        return raw

    def chunked_cursor(self) -> Any:
        """The driver's connection makes no such cursor itself, and outside of a transaction it
        would outlive the one that it is given."""
        self.ensure_connection()
        assert self.guard is not None
        if self.connection.autocommit:
            return self.cursor()
        self.guard.begin()
        self.guard.confirm_location()
        return super().chunked_cursor()

    def _close(self) -> None:
        if self.guard is not None and self.connection is not None and not self.connection.closed:
            self.guard.end()
        super()._close()  # type: ignore[misc]

    def _commit(self) -> None:
        try:
            super()._commit()  # type: ignore[misc]
        except BackupError:
            self.run_on_commit = []
            raise


def _introspection(connection: GuardedConnection) -> Any:
    """Return the connection's introspection, to which the schema's own tables are all there are."""
    base_class = connection.introspection_class

    def get_table_list(self: Any, cursor: Any) -> list[Any]:
        cursor.execute(
            "SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
            " WHERE n.nspname = current_schema()"
        )
        own = {name for (name,) in cursor.fetchall()}
        return [table for table in base_class.get_table_list(self, cursor) if table.name in own]

    return type(base_class.__name__, (base_class,), {"get_table_list": get_table_list})(connection)


def guarded_connection(
    like: BaseDatabaseWrapper, expected: ExpectedLocation, **options: Any
) -> GuardedConnection:
    """Return a new connection with the settings of another, which stays in a schema."""
    base_class = next(
        base for base in type(like).__mro__ if not issubclass(base, GuardedConnection)
    )
    guarded_class: type[GuardedConnection] = type(
        base_class.__name__, (GuardedConnection, base_class), {"expected": expected}
    )
    settings = like.copy().settings_dict
    settings["OPTIONS"] = {**settings["OPTIONS"], **options}
    settings["OPTIONS"].pop("pool", None)  # a pool hands out connections by alias: live ones
    return guarded_class(settings, like.alias)
