"""Executes many statements of DDL, with few round trips and few changes of a table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any, NamedTuple

from django.db import DatabaseError

from backup_tasks.errors import DoesNotFit

_AT_A_TIME = 100
"""How many statements are sent in one text. A busy server is slow to answer each."""
_ADD_CONSTRAINT = " ADD CONSTRAINT "
_CANT_BE_MADE = frozenset({"0A", "22", "23", "42", "55"})
"""Classes of SQLSTATE: not supported, data, integrity, syntax or access rule, wrong state."""


class Statement(NamedTuple):
    """A statement without parameters, and the object that it makes, in words."""

    text: str
    obj: str


def execute_all(cursor: Any, statements: Iterable[Statement]) -> None:
    """Execute the statements in this order. Inside a transaction. Raises DoesNotFit, which names
    the object, for what the server refuses to make."""
    rest = iter(statements)
    while some := list(islice(rest, _AT_A_TIME)):
        # Not Django's savepoint: it takes another cursor, and some backends of projects set the
        # search path for each (T22).
        cursor.execute("SAVEPOINT many_statements")
        try:
            cursor.execute(";\n".join(_combined(some)))
        except DatabaseError as error:
            if not _is_refusal(error):
                raise
            cursor.execute("ROLLBACK TO SAVEPOINT many_statements")
            for statement in some:  # to see which
                _execute(cursor, statement)
        cursor.execute("RELEASE SAVEPOINT many_statements")


def _combined(statements: Sequence[Statement]) -> list[str]:
    """Return the texts, successive constraints of a table in one ALTER TABLE."""
    texts: list[str] = []
    before = ""
    for text, _ in statements:
        table, add, constraint = text.partition(_ADD_CONSTRAINT)
        if add and table == before:
            texts[-1] += f",{add}{constraint}"
        else:
            texts.append(text)
        before = table if add else ""
    return texts


def _execute(cursor: Any, statement: Statement) -> None:
    try:
        cursor.execute(statement.text)
    except DatabaseError as error:
        if not _is_refusal(error):
            raise
        raise DoesNotFit(
            f"live's can't be made in staging: {error}",
            obj=statement.obj,
            hint="Live data was not touched. Give the database's role what it lacks, or drop the "
            "object, start this again, and make it anew.",
        ) from error


def _is_refusal(error: DatabaseError) -> bool:
    return getattr(error.__cause__, "sqlstate", "")[:2] in _CANT_BE_MADE
