"""The lock retry: try to get locks with a short timeout, and try again after a pause."""

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
    """Call `attempt` until it gets its locks; return what it returns.

    `refused` tells whether an error means that a lock was not granted; other errors are raised.
    Raises LockNotGranted after `tries` calls. Its hint says where the server shows open
    `transactions`.
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
            # Other clients queue behind a lock request that waits. The pause lets them through.
            time.sleep(random.uniform(0.1, 0.3) * number)  # noqa: S311  # jitter
    raise AssertionError("the last try returns or raises")
