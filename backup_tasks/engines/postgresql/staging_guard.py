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
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from django.db import Error
from django.db.backends.base.base import BaseDatabaseWrapper

from backup_tasks.engines.base import quoted
from backup_tasks.engines.postgresql import outside_staging, row_security, sequences, statements
from backup_tasks.engines.postgresql.search_path import MARK, WHERE, Expected, Where, ended, problem
from backup_tasks.engines.postgresql.swap import LOCK_TIMEOUT_MS
from backup_tasks.engines.running_migration import running_migration
from backup_tasks.errors import BackupError, LeftStaging

_NUMBERS = itertools.count(1)
_NO_QUERY = frozenset({"SET", "LOCK", "SAVEPOINT", "RELEASE", "ROLLBACK", ""})
"""They read nothing: a transaction of one moment, which it chooses itself, has not begun yet."""
_PATH = re.compile("search_path", re.IGNORECASE)
_NAMED = 5


class Guard:
    """Keeps one connection of the driver where it has to be."""

    def __init__(self, raw: Any, expected: Expected, connection: GuardedConnection) -> None:
        self._raw, self._expected, self._connection = raw, expected, connection
        self._errors = connection.wrap_database_errors
        """Inside, the driver's errors are Django's."""
        self._mark: str | None = None
        """Of the transaction that is open; None before it has begun."""
        self._confirmed = False
        self._plain = raw.cursor_factory
        self._commit, self._rollback = raw.commit, raw.rollback
        raw.commit, raw.rollback = self.commit, self.rollback
        self._transaction, raw.transaction = raw.transaction, self.transaction
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
            self._rollback()
            raise
        self._commit()
        self._mark = None

    def rollback(self) -> None:
        """In place of the driver's own: sequences stay where they are, so they are noted."""
        if self._raw.info.transaction_status.name == "INTRANS":
            with suppress(Error), self._errors, self._plain(self._raw) as cursor:
                done = outside_staging.relations(cursor, self._expected.schema, None)
                self._connection.sequences_outside |= done.sequences
        self._rollback()

    def end(self) -> None:
        """Before the connection is closed: note what sequences its session has used."""
        if (before := self._connection.sequences_before) is None:
            return
        with suppress(Error), self._errors:  # one that is broken tells nothing
            self._raw.rollback()
            self._raw.autocommit = True
            with self._plain(self._raw) as cursor:
                schema = self._expected.schema
                used = sequences.used_by_session(cursor, self._errors, schema, before)
                self._connection.sequences_outside |= used

    def begin(self) -> None:
        """Give the transaction its search path; it begins with this if it has not begun yet."""
        if self._mark is None or self._is_idle():
            self._mark, self._confirmed = str(next(_NUMBERS)), False
            # Nobody else uses staging: what has to wait waits for a client of live's.
            wait = f"SET LOCAL lock_timeout = {LOCK_TIMEOUT_MS}; " if self._watches else ""
            self._execute(f"{wait}{self._path()}; SET LOCAL {MARK} = '{self._mark}'")

    def check(self) -> None:
        """Raise what speaks against a commit: see `confirm`."""
        if self._connection.refusal:
            raise self._connection.refusal
        if self._raw.info.transaction_status.name != "INTRANS":
            return
        if self._mark is None:
            self.begin()
        self.confirm()
        self._refuse_relations()
        if self._watches:
            self._refuse_objects()

    def _refuse_relations(self) -> None:
        expected = self._expected
        live = expected.live_path[0] if self._watches else None
        with self._plain(self._raw) as cursor:
            done = outside_staging.relations(cursor, expected.schema, live)
        if done.names:
            self._connection.sequences_outside |= done.sequences
            self._refuse(_left(expected.schema, done.names))

    def _refuse_objects(self) -> None:
        schema = self._expected.schema
        self._execute(self._path(alone=True))  # what is elsewhere is then named with its schema
        with self._plain(self._raw) as cursor:
            done = outside_staging.objects(cursor, schema, self._expected.connect)
        self._execute(self._path())  # deferred triggers are still to run
        if done:
            self._refuse(_left(schema, done))

    def _before(self, text: str) -> None:
        if self._connection.refusal:
            raise self._connection.refusal
        self.begin()
        if not self._confirmed and statements.first_word(text) not in _NO_QUERY:
            self.confirm()
        if statements.drops_if_exists(text):
            self._execute(self._path(alone=True))

    def _after(self, text: str) -> None:
        if self._is_idle():
            self._refuse(ended(text))
        if self._raw.info.transaction_status.name != "INTRANS":
            return
        if self._watches:
            # At once: a lock on a table of live's keeps its clients waiting.
            self._refuse_relations()
        if _PATH.search(text) or statements.drops_if_exists(text):
            self._execute(self._path())

    @property
    def _watches(self) -> bool:
        return self._connection.runs_project_code

    def _path(self, *, alone: bool = False) -> str:
        """Return the SQL that sets the search path, `alone` without live's, and shows every row."""
        path = quoted(self._expected.schema) if alone else self._expected.path
        return f"SET LOCAL search_path = {path}; {row_security.OFF}"

    def _refuse_text(self, text: str) -> None:
        if self._connection.refusal:
            raise self._connection.refusal
        if control := statements.transaction_control(text):
            self._refuse(ended(control))

    def confirm(self) -> None:
        """Ask the server where the transaction is. Raises Misconfigured, HandoverChanged,
        DatabaseUnavailable, LeftStaging."""
        expected = self._expected
        with self._plain(self._raw) as cursor:
            cursor.execute(WHERE, [quoted(expected.schema), MARK])
            where = Where(*cursor.fetchone())
        if wrong := problem(where, expected, self._mark):
            self._refuse(wrong)
        self._confirmed = True

    def _refuse(self, error: BackupError) -> None:
        if isinstance(error, LeftStaging) and (migration := running_migration()):
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


def _left(schema: str, names: Sequence[str]) -> LeftStaging:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return LeftStaging(
        "it would have changed what is outside of staging, or read live's rows, and was rolled "
        "back: " + ", ".join(names[:_NAMED]) + more,
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
        # A DROP … IF EXISTS sees less than what follows it in the same text.
        if not any(arguments) and isinstance(query, str) and statements.drops_if_exists(query):
            *first, query = statements.split(query)
            for statement in first:
                with self.guard.around(statement) as sent:
                    super().execute(sent, *arguments, **options)  # type: ignore[misc]
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


class GuardedConnection(BaseDatabaseWrapper):
    """Mixed into the class of the project's connection."""

    expected: Expected
    runs_project_code = True
    """Whether functions, types and grants are looked for outside, and reading live is refused."""
    guard: Guard | None = None
    refusal: BackupError | None = None
    """What was refused once stays so, whoever caught the error."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.introspection = _introspection(self)
        self.sequences_before: sequences.Numbers | None = None
        self.sequences_outside: set[str] = set()

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
        self.guard.confirm()
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
    kind = connection.introspection_class

    def get_table_list(self: Any, cursor: Any) -> list[Any]:
        cursor.execute(
            "SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
            " WHERE n.nspname = current_schema()"
        )
        own = {name for (name,) in cursor.fetchall()}
        return [table for table in kind.get_table_list(self, cursor) if table.name in own]

    return type(kind.__name__, (kind,), {"get_table_list": get_table_list})(connection)


def connection_to(
    like: BaseDatabaseWrapper, expected: Expected, **options: Any
) -> GuardedConnection:
    """Return a new connection with the settings of another, which stays in a schema."""
    kind = next(base for base in type(like).__mro__ if not issubclass(base, GuardedConnection))
    made: type[GuardedConnection] = type(
        kind.__name__, (GuardedConnection, kind), {"expected": expected}
    )
    settings = like.copy().settings_dict
    settings["OPTIONS"] = {**settings["OPTIONS"], **options}
    settings["OPTIONS"].pop("pool", None)  # a pool hands out connections by alias: live ones
    return made(settings, like.alias)
