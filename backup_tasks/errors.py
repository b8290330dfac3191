"""Every error of this project, in one tree.

    BackupError                     exit code
    ├── Transient                       1       Celery retries it, with backoff and jitter
    │   ├── DatabaseUnavailable
    │   ├── StorageUnavailable
    │   ├── SourceChanged
    │   └── LockNotGranted
    └── Permanent                       1       the run fails at once
        ├── Misconfigured               2
        ├── NotConfirmed                3
        ├── AnotherRunActive            4
        ├── PackageDamaged              5
        ├── KeyMissing                  6
        ├── SignatureInvalid            6
        ├── NotEncrypted                6
        ├── ValidationFailed            7
        ├── DoesNotFit                  8
        ├── LeftStaging                 8
        ├── HandoverChanged
        ├── DumpFailed
        ├── FilesMissing
        ├── HalfReplaced
        ├── LoadFailed
        ├── PackageNotFound
        ├── StorageRefused
        ├── NothingToUndo
        ├── StillReferenced
        ├── LeaseLost
        └── Cancelled

An error says what happened (`what`), to which object (`obj`: a model label, a file, a package, a
run), and what to do next (`hint`). The class's docstring is its meaning; commands print all three,
and the ledger keeps them. What can't be printed, as in a file's name, is an escape in them.
"""

from __future__ import annotations

from typing import ClassVar, Self, TypedDict

from backup_tasks.printable import printable


class ErrorRecord(TypedDict):
    """An error as the ledger and `--json` show it."""

    kind: str
    what: str
    object: str
    hint: str
    exit_code: int


class BackupError(Exception):
    """Something this project can explain went wrong."""

    exit_code: ClassVar[int] = 1

    def __init__(self, what: str, obj: str = "", hint: str = "") -> None:
        self.what, self.obj, self.hint = (printable(text, keep="\n") for text in (what, obj, hint))
        super().__init__(self.what, self.obj, self.hint)

    def __str__(self) -> str:
        subject = f"{self.obj}: " if self.obj and self.obj not in self.what else ""
        advice = f" Hint: {self.hint}" if self.hint else ""
        return f"{subject}{self.what}{advice}"

    def about(self, obj: str) -> Self:
        """Name the object, where whoever raised the error did not know it. Returns the error."""
        if not self.obj:
            self.obj = printable(obj)
            self.args = (self.what, self.obj, self.hint)
        return self

    def within(self, where: str) -> Self:
        """Say in which part of the work it happened. Returns the error."""
        self.what = f"{printable(where)}: {self.what}"
        self.args = (self.what, self.obj, self.hint)
        return self

    def advise(self, more: str) -> Self:
        """Say more of what to do next. Returns the error."""
        self.hint = " ".join(filter(None, (self.hint, printable(more))))
        self.args = (self.what, self.obj, self.hint)
        return self

    def record(self) -> ErrorRecord:
        """Return the error as plain JSON values, for the ledger and for `--json`."""
        return {
            "kind": type(self).__name__,
            "what": self.what,
            "object": self.obj,
            "hint": self.hint,
            "exit_code": self.exit_code,
        }


class Transient(BackupError):
    """It may work when it is tried again."""


class DatabaseUnavailable(Transient):
    """The database did not answer, or cut the connection."""


class StorageUnavailable(Transient):
    """A storage (of packages or of files) did not answer."""


class SourceChanged(Transient):
    """A file of the project changed while it was being packed."""


class LockNotGranted(Transient):
    """The live tables stayed locked by others for longer than the lock timeout."""


class Permanent(BackupError):
    """Trying again would fail in the same way."""


class Misconfigured(Permanent):
    """A setting or an option does not make sense."""

    exit_code = 2


class NotConfirmed(Permanent):
    """A destructive command was started without its confirmation."""

    exit_code = 3


class AnotherRunActive(Permanent):
    """A run that writes to live is active already."""

    exit_code = 4


class PackageDamaged(Permanent):
    """The package is not what was written: truncated, altered, or not a package."""

    exit_code = 5


class KeyMissing(Permanent):
    """No key at hand encrypts, decrypts or signs what was asked for."""

    exit_code = 6


class SignatureInvalid(Permanent):
    """The signature is missing, or none of the trusted keys made it."""

    exit_code = 6


class NotEncrypted(Permanent):
    """A package in clear, where the settings ask for encrypted ones only."""

    exit_code = 6


class ValidationFailed(Permanent):
    """What was restored is not what was backed up. Live data was not touched."""

    exit_code = 7


class DoesNotFit(Permanent):
    """The package does not fit this project: its models, migrations, format or scope differ."""

    exit_code = 8


class LeftStaging(Permanent):
    """What ran in staging would have changed something outside it. It was rolled back."""

    exit_code = 8


class HandoverChanged(Permanent):
    """What an earlier step left in the workspace is missing or altered."""


class DumpFailed(Permanent):
    """A row can't be written to a package faithfully."""


class FilesMissing(Permanent):
    """The package lacks files that it should hold. It is kept, marked incomplete."""


class HalfReplaced(Permanent):
    """Live was half replaced while it was backed up. The package is kept, marked incomplete."""


class LoadFailed(Permanent):
    """A row of the package can't be written to the database."""


class PackageNotFound(Permanent):
    """No package of that name is in the store."""


class StorageRefused(Permanent):
    """A storage can't do what was asked: no space, no right, no such folder."""


class NothingToUndo(Permanent):
    """There is no replaced state to bring back."""


class StillReferenced(Permanent):
    """An object outside depends on kept tables or on staging; they were not dropped."""


class LeaseLost(Permanent):
    """Another worker took the step over; this one must not write its result."""


class Cancelled(Permanent):
    """An operator cancelled the run."""


def of_record(record: ErrorRecord | None) -> BackupError:
    """Return the error that a record tells of. One of a kind that is not known here, as of a newer
    version, is a Permanent; so is none."""
    if record is None:
        return Permanent("the run did not say why it failed")
    kind = globals().get(record["kind"])
    known = kind if isinstance(kind, type) and issubclass(kind, BackupError) else Permanent
    return known(record["what"], record["object"], record["hint"])
