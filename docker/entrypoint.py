"""Waits for what a container needs, then becomes its command.

    WAIT_FOR="database migrations broker" python docker/entrypoint.py celery -A edms worker …

`depends_on: service_healthy` orders only the first start, and not every engine honours it. This
holds after a restart of the machine too, whatever comes up first.
"""

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import django
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from redis import Redis, RedisError

TIMEOUT = 300.0  # seconds that one need may take
PAUSE = 1.0  # seconds between two attempts


class NotYetError(Exception):
    """A need is not met yet; its text says why."""


def database() -> None:
    """The database takes a connection."""
    try:
        connection.ensure_connection()
    except DatabaseError as error:
        raise NotYetError(str(error).strip()) from error
    finally:
        connection.close()


def migrations() -> None:
    """Every migration that this image carries has been applied."""
    try:
        executor = MigrationExecutor(connection)
        pending = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except DatabaseError as error:
        raise NotYetError(str(error).strip()) from error
    finally:
        connection.close()
    if pending:
        first = pending[0][0]
        raise NotYetError(f"{len(pending)} to apply, first {first.app_label}.{first.name}")


def broker() -> None:
    """Redis answers, with the password at hand."""
    from django.conf import settings

    try:
        with Redis.from_url(settings.REDIS_URL, socket_timeout=5) as client:
            client.ping()
    except RedisError as error:
        raise NotYetError(str(error)) from error


NEEDS: dict[str, Callable[[], None]] = {
    "database": database,
    "migrations": migrations,
    "broker": broker,
}


def wait_for(name: str) -> None:
    """Return when need `name` is met; exit with 1 and the last cause after TIMEOUT seconds."""
    deadline = time.monotonic() + TIMEOUT
    said = ""
    while True:
        try:
            return NEEDS[name]()
        except NotYetError as error:
            cause = str(error)
        if time.monotonic() > deadline:
            sys.exit(f"entrypoint: gave up waiting for {name} after {TIMEOUT:.0f} s: {cause}")
        if cause != said:
            sys.stderr.write(f"entrypoint: waiting for {name}: {cause}\n")
            said = cause
        time.sleep(PAUSE)


def main(command: list[str]) -> None:
    """Wait for the needs listed in the variable WAIT_FOR, then replace this process."""
    needs = os.environ.get("WAIT_FOR", "").split()
    unknown = [name for name in needs if name not in NEEDS]
    if unknown or not command:
        known = ", ".join(NEEDS)
        sys.exit(f"entrypoint: give a command, and in WAIT_FOR only {known}; unknown: {unknown}")
    if needs:
        # Python puts this file's folder on the path; the project is where the container works.
        sys.path[0] = str(Path.cwd())
        try:
            django.setup()
        except ImproperlyConfigured as error:
            sys.exit(f"entrypoint: {error}")
        for name in needs:
            wait_for(name)
    os.execvp(command[0], command)  # noqa: S606  # to become the command is the point


if __name__ == "__main__":
    main(sys.argv[1:])
