"""Locks that others hold: asked for briefly, and again after a pause."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import TypeVar

from django.db import OperationalError

from backup_tasks.errors import LockNotGranted

T = TypeVar("T")


def retry_lock(
    attempt: Callable[[], T],
    *,
    refused: Callable[[OperationalError], bool],
    tries: int,
    alias: str,
    transactions: str,
) -> T:
    """Return what `attempt` returns, once no lock is `refused` to it.

    Raises LockNotGranted after so many `tries`; its hint names where the open `transactions` are
    shown. Other errors are raised as they are.
    """
    for number in range(1, tries + 1):
        try:
            return attempt()
        except OperationalError as error:
            if not refused(error):
                raise
            if number == tries:
                raise LockNotGranted(
                    f"other clients held the tables through {tries} tries",
                    obj=f"database {alias}",
                    hint=f"A long transaction is open: see {transactions}. The run can be resumed.",
                ) from error
            # Others queue up behind a lock that waits: let them through before the next try.
            time.sleep(random.uniform(0.1, 0.3) * number)  # noqa: S311  # jitter
    raise AssertionError("the last attempt returns or raises")
