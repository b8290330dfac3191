"""What an exception means for a step."""

import errno
import os
from typing import Any

import pytest
from django.db import DataError, InterfaceError, InternalError, OperationalError, ProgrammingError

from backup_tasks.error_classification import explain, storage_failed
from backup_tasks.errors import (
    BackupError,
    DatabaseUnavailable,
    DumpFailed,
    LockNotGranted,
    Misconfigured,
    Permanent,
    StorageRefused,
    StorageUnavailable,
)


def of_postgres(kind: type[Exception], text: str, state: str) -> Exception:
    """An error as Django raises it: psycopg's, with its SQLSTATE, is the cause."""
    error = kind(text)
    error.__cause__ = type("Cause", (Exception,), {"sqlstate": state})(text)
    return error


@pytest.mark.parametrize(
    ("raised", "meaning"),
    [
        (OperationalError("database is locked"), DatabaseUnavailable),
        (OperationalError("server closed the connection unexpectedly"), DatabaseUnavailable),
        (InterfaceError("connection already closed"), DatabaseUnavailable),
        (of_postgres(OperationalError, "shutting down", "57P01"), DatabaseUnavailable),
        (of_postgres(OperationalError, "deadlock detected", "40P01"), DatabaseUnavailable),
        (of_postgres(InternalError, "idle-in-transaction timeout", "25P03"), DatabaseUnavailable),
        (of_postgres(OperationalError, "lock timeout", "55P03"), LockNotGranted),
        (OperationalError(1205, "Lock wait timeout exceeded"), LockNotGranted),
        (OperationalError(1213, "Deadlock found"), DatabaseUnavailable),
        (OperationalError(2013, "Lost connection during query"), DatabaseUnavailable),
        (ConnectionResetError(errno.ECONNRESET, "reset"), StorageUnavailable),
        (TimeoutError("timed out"), StorageUnavailable),
        (OSError(errno.EHOSTUNREACH, "no route to host"), StorageUnavailable),
    ],
)
def test_what_may_pass_is_transient(raised: Exception, meaning: type[BackupError]) -> None:
    assert type(explain(raised)) is meaning


@pytest.mark.parametrize(
    ("raised", "meaning", "hint"),
    [
        (OperationalError("database or disk is full"), Permanent, "Free some space"),
        (OperationalError("no such table: backup_tasks_run"), Misconfigured, "migrate"),
        (of_postgres(ProgrammingError, "no relation", "42P01"), Misconfigured, "migrate"),
        (OperationalError("no such column: documents_tag.colour"), Misconfigured, "migrate"),
        (of_postgres(ProgrammingError, "no column", "42703"), Misconfigured, "migrate"),
        (OperationalError(1054, "Unknown column"), Misconfigured, "migrate"),
        (OperationalError("attempt to write a readonly database"), Permanent, ""),
        (of_postgres(OperationalError, "no space", "53100"), Permanent, "Free some space"),
        (ProgrammingError(1146, "Table doesn't exist"), Misconfigured, "migrate"),
        (OperationalError(1114, "The table is full"), Permanent, "Free some space"),
        (OperationalError(1292, "Incorrect uuid value"), Permanent, ""),
        (OSError(errno.ENOSPC, "No space left on device"), Permanent, "Free some space"),
        (PermissionError(errno.EACCES, "Permission denied"), Permanent, "right to read"),
        (FileNotFoundError(errno.ENOENT, "No such file"), Permanent, ""),
        (DataError("value too long"), Permanent, "not foreseen"),
        (KeyError("pk"), Permanent, "not foreseen"),
    ],
)
def test_what_stays_is_permanent_and_has_a_hint(raised: Any, meaning: Any, hint: str) -> None:
    error = explain(raised)

    assert type(error) is meaning
    assert hint in error.hint


def test_an_error_of_this_project_means_itself() -> None:
    error = DumpFailed("a row", obj="a.b")

    assert explain(error) is error


@pytest.mark.parametrize(
    ("number", "meaning"),
    [
        (errno.ENOSPC, StorageRefused),
        (errno.EROFS, StorageRefused),
        (errno.ENOTDIR, StorageRefused),
        (errno.EFBIG, StorageRefused),
        (errno.EIO, StorageUnavailable),
        (errno.ETIMEDOUT, StorageUnavailable),
    ],
)
def test_a_storage_is_tried_again_only_where_that_may_help(number: int, meaning: Any) -> None:
    error = storage_failed("the store failed", OSError(number, os.strerror(number)), obj="backups")
    assert type(error) is meaning
    assert str(error).startswith(f"backups: the store failed ({os.strerror(number)})")
