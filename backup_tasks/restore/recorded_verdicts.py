"""Records the verdict on a package when a step that reads it fails or passes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, Protocol, TypeVar

from django.db import DatabaseError, InterfaceError, transaction

from backup_tasks import ledger
from backup_tasks.conf import backup_settings
from backup_tasks.error_classification import explain
from backup_tasks.errors import (
    AnotherRunActive,
    BackupError,
    Cancelled,
    DoesNotFit,
    FilesMissing,
    HalfReplaced,
    HandoverChanged,
    KeyMissing,
    LeaseLost,
    Misconfigured,
    NotEncrypted,
    PackageDamaged,
    PackageNotFound,
    SignatureInvalid,
    StorageRefused,
    Transient,
)
from backup_tasks.models import Run
from backup_tasks.package import keys
from backup_tasks.package.standing import Test
from backup_tasks.rows.selection import ModelFilter
from backup_tasks.storage import verdicts

_NOT_OF_THE_PACKAGE = (
    Transient,
    AnotherRunActive,
    Cancelled,
    DoesNotFit,
    FilesMissing,  # its sidecar says so
    HalfReplaced,  # likewise
    HandoverChanged,
    KeyMissing,
    LeaseLost,
    Misconfigured,
    NotEncrypted,
    PackageNotFound,
    SignatureInvalid,
    StorageRefused,
)
"""Errors whose cause is not the package: it may pass at the next try, or elsewhere. Any other error
counts against the package until it passes a test."""


class Work(Protocol):
    """What is used of `steps.Work`."""

    @property
    def run_id(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def params(self) -> Mapping[str, Any]: ...
    @property
    def still_mine(self) -> Callable[[], None]: ...
    @property
    def recorded(self) -> bool: ...


W = TypeVar("W", bound=Work)
Verb = Callable[[W], dict[str, Any]]


def records_verdict(test: Test, *, proves: bool = False) -> Callable[[Verb[W]], Verb[W]]:
    """Make a step record its failure as a verdict on its package; if it `proves` that the whole
    package passed the test, its success too."""

    def decorate(verb: Verb[W]) -> Verb[W]:
        @wraps(verb)
        def tested(work: W) -> dict[str, Any]:
            if not work.recorded:
                return verb(work)
            try:
                result = verb(work)
            except (BackupError, DatabaseError, InterfaceError) as raised:
                error = explain(raised)
                if not isinstance(error, _NOT_OF_THE_PACKAGE):
                    _record_failure(work, test, error)
                raise
            if proves and work.kind != Run.Kind.REINIT and is_whole(work):
                passed(work, test, ledger.find(work.run_id).package_sha256)
            return result

        return tested

    return decorate


def passed(work: Work, test: Test, sha256: object) -> None:
    """Record that the package with this SHA-256 passed. Does nothing for a package without a
    sidecar, or without a ledger."""
    if sha256 and work.recorded:
        with transaction.atomic(using=backup_settings().database):
            work.still_mine()
        verdicts.passed(str(sha256), test, run=work.run_id)


def is_whole(work: Work) -> bool:
    """Whether the run loads the whole package into staging, unchanged."""
    params = work.params
    return (
        params.get("mode", "exact") == "exact"
        and params.get("type", "full") == "full"
        and (work.kind != Run.Kind.RESTORE or not ModelFilter.by(params))
    )


def _record_failure(work: Work, test: Test, error: BackupError) -> None:
    run = ledger.find(work.run_id)
    if not run.package_sha256 or work.kind == Run.Kind.REINIT:
        return
    if test == "restore" and not (is_whole(work) or isinstance(error, PackageDamaged)):
        return
    if (
        test == "contents"
        and run.package.endswith(".age")
        and not keys.identities(backup_settings(), work.params)
    ):
        test = "bytes"  # without a key, only the bytes were tested
    with transaction.atomic(using=backup_settings().database):
        work.still_mine()
    verdicts.failed(run.package_sha256, test, run=work.run_id, error=error)
