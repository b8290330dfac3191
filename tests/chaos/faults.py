"""What a child does to itself, in the middle of a step, when it was ordered to fail and not to die.

Each lasts as long as the step; `resume_run` finds the world as it was.
"""

import contextlib
import os
import resource
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import psycopg

SOON = 10
"""The moment of the step at which the database lets it down."""


def cut_off() -> None:
    """End all sessions that this project has, as a failover does."""
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as server:
        server.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            " AND application_name <> 'reader'"
        )


def take_too_long() -> None:
    """Run into the server's own timeout, in the session that the step works in."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = '20ms'")
        cursor.execute("SELECT pg_sleep(1)")


FAULTS: dict[str, Callable[[], None]] = {"cut_off": cut_off, "take_too_long": take_too_long}


class Fault:
    """Strikes once, at a moment of the step."""

    def __init__(self, name: str, step: str) -> None:
        self.strike, self.step, self.left = FAULTS[name], step, -1

    def __call__(self, moment: str) -> None:
        if moment == f"claimed {self.step}":
            self.left = SOON
        elif self.left > 0:
            self.left -= 1
            if self.left == 0:
                self.step = ""  # the next attempt is let alone
                self.strike()


@contextlib.contextmanager
def small_disk(size: int | None) -> Iterator[None]:
    """Let no file grow beyond so many bytes: RLIMIT_FSIZE."""
    if size is None:
        yield
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def pretend_free(size: int) -> None:
    """Let the operating system say that every disk has so many bytes free."""
    usage = shutil.disk_usage("/")
    said: Any = lambda _: usage._replace(free=size)  # noqa: E731
    shutil.disk_usage = said
