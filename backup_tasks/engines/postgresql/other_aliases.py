"""Other aliases while staging stands behind one: they may lead to live, and are only read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from django.db import InternalError, connections, transaction

from backup_tasks.errors import LeftStaging

_READ_ONLY_TRANSACTION = "25006"
"""SQLSTATE read_only_sql_transaction."""


@contextmanager
def others_read_only(alias: str) -> Iterator[None]:
    """Inside, this thread can't write over any other alias of a PostgreSQL database.

    What tries raises LeftStaging; the server refuses it, whatever function it is hidden in.
    """
    with ExitStack() as stack:
        for other in connections:
            if other != alias and connections[other].vendor == "postgresql":
                stack.enter_context(connections[other].execute_wrapper(_ReadOnlyWrapper(other)))
        yield


class _ReadOnlyWrapper:
    """A wrapper of Django's: each statement is one of a transaction that may only read."""

    def __init__(self, alias: str) -> None:
        self._alias = alias
        self._inside = False

    def __call__(self, execute: Callable[..., Any], *arguments: Any) -> Any:
        if self._inside:  # what follows sends statements itself
            return execute(*arguments)
        self._inside = True
        try:
            # In a transaction that is open it is a savepoint, whose end lets it write again.
            with transaction.atomic(self._alias):
                connections[self._alias].connection.execute("SET TRANSACTION READ ONLY")
                return execute(*arguments)
        except InternalError as error:
            if getattr(error.__cause__, "sqlstate", None) != _READ_ONLY_TRANSACTION:
                raise
            raise LeftStaging(
                f"it would have written over another alias, {self._alias}: {error}",
                obj=f"database {self._alias}",
                hint="Live data was not touched. Let migrations, seeds and checks use the alias "
                "that they are given: schema_editor.connection.alias.",
            ) from error
        finally:
            self._inside = False
