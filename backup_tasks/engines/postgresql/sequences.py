"""Sequences of live's that what runs in staging drew from: no rollback brings them back.

Other clients draw from them too, so that one has moved proves nothing. Two things do: a lock of the
transaction, which outlives a savepoint that is rolled back, and `currval`, which is the session's
own and outlives the transaction. The latter says nothing of `setval(…, false)`, nor behind a
pooler, where a session is everybody's.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Any, Protocol

from django.db import DatabaseError
from django.db.backends.base.base import BaseDatabaseWrapper

from backup_tasks.errors import BackupError, LeftStaging

_HINT = (
    "Live's rows were not touched. Name no sequence with its schema in the SQL of migrations, "
    "seeds, checks, functions and triggers. Numbers that were drawn are not given back, since "
    "others may have drawn later ones; a gap does no harm. Where a sequence was set far ahead, set "
    "it back yourself, with setval."
)

LastValues = Mapping[str, int | None]
"""The last number that each sequence gave, by qualified name; None where it gave none."""


class StagingConnection(Protocol):
    """A connection to staging."""

    refusal: BackupError | None
    sequences_before: LastValues | None
    """None: it only reads."""
    used_sequences: set[str]
    """What it drew from, or set."""


def last_values_outside(cursor: Any, schema: str) -> LastValues:
    """Return those of all sequences outside of the schema."""
    cursor.execute(
        "SELECT format('%%I.%%I', schemaname, sequencename), last_value FROM pg_sequences"
        " WHERE schemaname <> %s",
        [schema],
    )
    return dict(cursor.fetchall())


def used_by_session(
    cursor: Any, errors: AbstractContextManager[Any], schema: str, before: LastValues
) -> set[str]:
    """Return the sequences that have moved, and that the session itself drew from or set.

    The cursor is the driver's, in no transaction; inside of `errors`, its errors are Django's.
    """
    cursor.execute("SELECT pg_backend_pid()")
    if cursor.fetchone() != (cursor.connection.info.backend_pid,):
        return set()  # a pooler is between
    used = set()
    for name in _changed(before, last_values_outside(cursor, schema)):
        with suppress(DatabaseError), errors:  # the server's way to say no
            cursor.execute("SELECT currval(%s)", [name])
            used.add(name)
    return used


def _changed(before: LastValues, after: LastValues) -> list[str]:
    return [name for name, last in after.items() if before.get(name) != last]


@contextmanager
def repair(live: BaseDatabaseWrapper, schema: str, connection: StagingConnection) -> Iterator[None]:
    """Around all that a connection to staging does: afterwards no sequence of live gives a number
    again, and the refusal says where those are that it moved. Raises LeftStaging."""
    with live.cursor() as cursor:
        before = connection.sequences_before = last_values_outside(cursor, schema)
    try:
        yield
    finally:
        if connection.used_sequences:
            with live.cursor() as cursor:
                moved = _repair(cursor, schema, sorted(connection.used_sequences), before)
            if moved:
                _refuse(connection, schema, f"no rollback brings a sequence back: {moved}")


def _refuse(connection: StagingConnection, schema: str, moved: str) -> None:
    """Say it in the refusal, or else in place of what failed on its own."""
    error = sys.exception()
    if isinstance(refusal := connection.refusal, LeftStaging):
        refusal.what, refusal.hint = f"{refusal.what}; {moved}", _HINT
        refusal.args = (refusal.what, refusal.obj, refusal.hint)
    elif error is None or (isinstance(error, Exception) and not isinstance(error, BackupError)):
        failed = f"; what drew from it failed, too: {error}" if error else ""
        raise LeftStaging(f"{moved}{failed}", obj=f"schema {schema}", hint=_HINT) from error


def _repair(cursor: Any, schema: str, names: Iterable[str], before: LastValues) -> str:
    found = last_values_outside(cursor, schema)
    for name in names:
        if name in found:
            _advance(cursor, name, before.get(name))
    after = last_values_outside(cursor, schema)
    return ", ".join(
        f"{name} stood at {_in_words(before.get(name))}, was at {_in_words(found[name])}"
        + (
            f" and is put right to {_in_words(after[name])}"
            if found[name] != after.get(name)
            else ""
        )
        for name in names
        if name in found and name in after and before.get(name) != found[name]
    )


def _in_words(last: int | None) -> str:
    return "its start" if last is None else str(last)


def _advance(cursor: Any, name: str, before: int | None) -> None:
    """Let it give none of the numbers again that it gave before, or that are in use. One that is
    ahead of them stays where it is."""
    cursor.execute(
        "SELECT d.refobjid::regclass::text,"
        "       quote_ident(a.attname), q.seqincrement > 0"
        "  FROM pg_sequence q"
        "  LEFT JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = q.seqrelid"
        "   AND d.deptype IN ('a', 'i') AND d.refobjsubid > 0"
        "  LEFT JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid"
        " WHERE q.seqrelid = %s::regclass",
        [name],
    )
    table, column, rises = cursor.fetchone()
    furthest, behind = ("max", "<") if rises else ("min", ">")
    used = f"SELECT {column} FROM {table} UNION ALL" if column else ""
    cursor.execute(
        f"SELECT setval(%s, least.number) FROM {name} s,"
        f" (SELECT {furthest}(number) FROM ({used} SELECT %s::bigint) t(number)) least(number)"
        # One that has not been called yet gives the number itself at which it stands.
        f" WHERE s.last_value {behind} least.number"
        "    OR s.last_value = least.number AND NOT s.is_called",
        [name, before],
    )
