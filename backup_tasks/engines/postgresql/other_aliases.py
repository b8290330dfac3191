"""Makes other aliases read-only while one alias leads to staging, since they may lead to live."""

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

    Raises LeftStaging for a statement that tries. The server refuses it, so writes inside functions
    are found too.
    """
    with ExitStack() as stack:
        for other in connections:
            if other != alias and connections[other].vendor == "postgresql":
                stack.enter_context(connections[other].execute_wrapper(_ReadOnlyWrapper(other)))
        yield


class _ReadOnlyWrapper:
    """An execute wrapper (Django) that runs each statement in a read-only transaction."""

    def __init__(self, alias: str) -> None:
        self._alias = alias
        self._inside = False

    def __call__(self, execute: Callable[..., Any], *arguments: Any) -> Any:
        if self._inside:  # atomic() sends statements of its own
            return execute(*arguments)
        self._inside = True
        try:
            # Inside an open transaction this is a savepoint: read-only ends with it.
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
