"""Classifies any exception as Transient or Permanent, with cause and hint.

Errors of this project say so themselves. This module knows the ones that databases, the operating
system and the network raise; whatever it does not know is a defect, and fails the run.
"""

from __future__ import annotations

import errno
import sys
from collections.abc import Mapping

from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, InterfaceError, OperationalError, ProgrammingError

from backup_tasks.errors import (
    BackupError,
    DatabaseUnavailable,
    LockNotGranted,
    Misconfigured,
    Permanent,
    StorageRefused,
    StorageUnavailable,
)

LEDGER_ERRORS = (DatabaseError, InterfaceError, ImproperlyConfigured, Misconfigured)
"""What is raised where the ledger can't be asked: the database does not answer, is not there, was
never migrated, or has no driver here."""

_FULL = "Free some space, then `resume_run`."
_DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_DENIED = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
_AWAY = frozenset(
    {errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EHOSTDOWN, errno.ESTALE}
)

_LASTING = (
    _DISK_FULL
    | _DENIED
    | {errno.ENOENT, errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG}
    | {errno.EFBIG}  # a file system that takes no file of 4 GB, for one
)
"""What does not pass by itself in a storage: space, rights, folders that are not there, a limit."""
_MAY_PASS = (408, 409, 423, 425, 429)
"""HTTP status: timeouts, conflicts, too many requests."""

STORAGE_HINT = "Look at the storage's settings, credentials, rights and free space."

_SQLITE_LOCKED = ("locked", "busy")
_SQLITE_PERMANENT = ("no such", "readonly", "read-only", "unable to open", "malformed", "syntax")
_REFUSED_STARTUP = "unsupported startup parameter"
"""What PgBouncer answers to options that it does not know."""
_NO_TRANSACTIONS = "transaction blocks not allowed"
"""What PgBouncer answers to BEGIN in its mode "statement"."""
_NO_TABLE = "42P01"
_NO_COLUMN = "42703"
_LOCK_NOT_AVAILABLE = "55P03"
_TRANSIENT_STATES = ("08", "40", "53300", "57P")
"""Connection failures, serialization failures and deadlocks, too many connections, shutdowns.
Source: PostgreSQL documentation, appendix A."""
_DEADLOCKS = ("40001", "40P01")
_DISK_FULL_STATE = "53100"
_QUERY_CANCELED = "57014"
_IDLE_TOO_LONG = "25P03"
_NO_PRIVILEGE = "42501"
_DENIED_BY_MARIADB = (1044, 1045, 1142, 1143, 1227, 1370)
_OF_MARIADB = {
    **dict.fromkeys((1021, 1114), _DISK_FULL_STATE),
    1146: _NO_TABLE,
    1054: _NO_COLUMN,
    1205: _LOCK_NOT_AVAILABLE,
    **dict.fromkeys((1213, 1412), "40001"),  # a deadlock; a table that was altered since
    1040: "53300",
    1053: "57P01",
    **dict.fromkeys((1927, 2002, 2003, 2006, 2013), "08006"),
}
"""MariaDB's numbers, in PostgreSQL's words: one SQLSTATE stands for most of them."""


_VENDOR_ERRORS = (
    ("botocore.exceptions", "BotoCoreError"),
    ("botocore.exceptions", "ClientError"),
    ("boto3.exceptions", "Boto3Error"),
    ("google.api_core.exceptions", "GoogleAPIError"),
    ("azure.core.exceptions", "AzureError"),
    ("paramiko.ssh_exception", "SSHException"),
)
"""What the storages of django-storages raise that is not an OSError. Looked up by name: none of
them is a dependency, and one that was not imported can't have been raised."""
_NO_CREDENTIALS = ("NoCredentialsError", "PartialCredentialsError", "ParamValidationError")


def vendor_errors() -> tuple[type[Exception], ...]:
    """Return the exceptions of the storages' libraries that are loaded."""
    loaded = ((sys.modules.get(module), name) for module, name in _VENDOR_ERRORS)
    return tuple(getattr(module, name) for module, name in loaded if hasattr(module, name))


def is_refusal(error: BaseException) -> bool:
    """Whether a storage's library says that trying again would not help: no rights, no credentials,
    no such bucket. It may have wrapped the answer of the server in an error of its own."""
    if type(error).__name__ in _NO_CREDENTIALS:
        return True
    answer = getattr(error, "response", None)
    if isinstance(answer, Mapping):
        status = int(answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        return 400 <= status < 500 and status not in _MAY_PASS
    inner = error.__cause__ or error.__context__
    return inner is not None and is_refusal(inner)


def storage_failed(
    what: str,
    error: Exception,
    *,
    obj: str,
    hint: str = "Look for free space and permissions.",
) -> BackupError:
    """Return the error for a failure of a storage: worth another try, or not."""
    lasting = is_refusal(error) or (isinstance(error, OSError) and error.errno in _LASTING)
    said = (error.strerror if isinstance(error, OSError) else None) or _text(error)
    return (StorageRefused if lasting else StorageUnavailable)(f"{what} ({said})", obj, hint)


def is_deadlock(error: OperationalError) -> bool:
    """Whether the database rolled the whole transaction back, since it and others waited for each
    other. It may be tried again, from its beginning."""
    return _state(error) in _DEADLOCKS


def is_denial(error: Exception) -> bool:
    """Whether the role or user lacks a right to do this, and another one may have it."""
    if isinstance(error, OSError):
        return error.errno in _DENIED
    number = error.args[0] if error.args else None
    return (
        _state(error) == _NO_PRIVILEGE or number in _DENIED_BY_MARIADB or "readonly" in str(error)
        if isinstance(error, DatabaseError | InterfaceError)
        else False
    )


def explain(error: Exception) -> BackupError:
    """Return the error itself if it is a BackupError, else the one that tells what it means."""
    if isinstance(error, BackupError):
        return error
    if isinstance(error, DatabaseError | InterfaceError):
        return _of_database(error)
    if isinstance(error, OSError):
        return _of_system(error)
    if isinstance(error, vendor_errors()):
        return storage_failed("a storage failed", error, obj="", hint=STORAGE_HINT)
    return _unforeseen(error)


def _of_database(error: DatabaseError | InterfaceError) -> BackupError:
    text = _text(error)
    state = _state(error)
    if _REFUSED_STARTUP in text:
        return Misconfigured(
            f"a pooler between here and the database refuses the connection: {text}",
            obj="DATABASES",
            hint="Take the parameter out of OPTIONS and set it with ALTER ROLE or ALTER DATABASE; "
            "or name it in the pooler's ignore_startup_parameters, if it may have no effect.",
        )
    if _NO_TRANSACTIONS in text:
        return Misconfigured(
            f"a pooler between here and the database knows no transactions: {text}",
            obj="DATABASES",
            hint="Set pool_mode = transaction or session in PgBouncer, for this database or user "
            "at least; or let backups go past it, over an alias of their own (BACKUP['DATABASE']).",
        )
    if "disk is full" in text or state == _DISK_FULL_STATE:
        return Permanent(f"the database's disk is full: {text}", hint=_FULL)
    if state == _NO_TABLE or "no such table" in text:
        return Misconfigured(
            f"the database lacks a table: {text}",
            hint="`manage.py migrate` makes the tables, in an empty database too; then do this "
            "again.",
        )
    if state == _NO_COLUMN or "no such column" in text:
        return Misconfigured(
            f"the database lacks a column: {text}",
            hint="If a migration is not applied yet, run `manage.py migrate` first.",
        )
    if state == _LOCK_NOT_AVAILABLE:
        return LockNotGranted(f"a table stayed locked: {text}")
    if state == _QUERY_CANCELED:
        return Permanent(
            f"the database ended a statement: {text}",
            hint="Raise the role's or the database's statement_timeout, then `resume_run`.",
        )
    if state == _IDLE_TOO_LONG:
        return DatabaseUnavailable(
            f"the database ended the transaction, this process was idle in it: {text}"
        )
    if isinstance(error, InterfaceError) or (
        isinstance(error, OperationalError) and _may_pass(text, state)
    ):
        return DatabaseUnavailable(
            f"the database did not answer: {text}",
            hint="Start it, or correct DATABASES (for the EDMS, DATABASE_URL). `list_packages` and "
            "`verify_package` need none.",
        )
    if isinstance(error, OperationalError | ProgrammingError):
        return Permanent(f"the database refused: {text}")
    return _unforeseen(error)


def _state(error: DatabaseError | InterfaceError) -> str:
    """The error's SQLSTATE; empty on SQLite, which has none."""
    number = error.args[0] if error.args else None
    if isinstance(number, int):
        return _OF_MARIADB.get(number, "HY000")
    return str(getattr(error.__cause__, "sqlstate", None) or "")


def _may_pass(text: str, state: str) -> bool:
    if state:
        return state.startswith(_TRANSIENT_STATES)
    if any(word in text for word in _SQLITE_LOCKED):
        return True
    return not any(word in text for word in _SQLITE_PERMANENT)


def _of_system(error: OSError) -> BackupError:
    text, name = _text(error), str(error.filename or "")
    if error.errno in _DISK_FULL:
        return Permanent(f"the disk is full: {text}", obj=name, hint=_FULL)
    if error.errno in _DENIED:
        hint = "Give the user that runs this the right to read and write there."
        return Permanent(f"access denied: {text}", obj=name, hint=hint)
    if isinstance(error, ConnectionError | TimeoutError) or error.errno in _AWAY:
        return StorageUnavailable(f"the connection failed: {text}", obj=name)
    return Permanent(f"the operating system refused: {text}", obj=name)


def _unforeseen(error: Exception) -> BackupError:
    return Permanent(
        f"{type(error).__name__}: {_text(error)}",
        hint="This was not foreseen. The ledger has the traceback of the step.",
    )


def _text(error: Exception) -> str:
    return " ".join(str(error).split())
