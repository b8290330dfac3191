"""Work after what a run is for has happened: a failure of it is a warning.

That is the commit of a promote, or the proof of a drill.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from django.db import DatabaseError, InterfaceError

from backup_tasks.error_classification import explain, vendor_errors
from backup_tasks.errors import BackupError, Cancelled, LeaseLost

T = TypeVar("T")


def or_warning(
    what: str,
    do: Callable[[], T],
    otherwise: T,
    warnings: list[str],
    *,
    done: str = "live was replaced",
) -> T:
    """Return what `do` returns; if it fails, `otherwise`, and add to the warnings what failed.

    What is `done` stays, so the run has succeeded. Raises LeaseLost and Cancelled; another attempt
    does the work then.
    """
    failures: tuple[type[Exception], ...] = (
        BackupError,
        DatabaseError,
        InterfaceError,
        OSError,
        *vendor_errors(),
    )
    try:
        return do()
    except (LeaseLost, Cancelled):
        raise
    except failures as error:
        warnings.append(f"{done}, and this failed afterwards: {what}: {explain(error)}")
        return otherwise
