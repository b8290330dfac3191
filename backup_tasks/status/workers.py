"""Asks the broker and the Celery workers whether they are there, and Flower. Each answers within a
second, or is not there."""

from __future__ import annotations

import http.client
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import urlopen

from backup_tasks.conf import backup_settings
from backup_tasks.errors import Misconfigured

_SECONDS = 1.0
_TASKS = ("backup_tasks.reconcile", "backup_tasks.dump")
"""A task of each queue: of what watches, and of the steps."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What answered."""

    broker: str = ""
    """Why it can't be reached; empty where it answers."""
    workers: Mapping[str, Collection[str]] = field(default_factory=dict)
    """The queues that each worker takes from, by its name."""
    waiting: Mapping[str, int] = field(default_factory=dict)
    """Messages that wait in each queue that this app uses."""


def ask() -> Asked:
    """Ask the broker and the workers. Raises Misconfigured without Celery."""
    try:
        from celery import current_app
        from kombu.exceptions import OperationalError
    except ImportError as error:
        raise Misconfigured(
            f"workers need Celery: {error}", hint="Leave --workers out, or install celery."
        ) from error
    limits = {"socket_connect_timeout": _SECONDS, "socket_timeout": _SECONDS}
    connection = current_app.connection_for_write(
        connect_timeout=_SECONDS, transport_options=limits
    )
    unreachable: tuple[type[BaseException], ...] = (OperationalError, *connection.connection_errors)
    try:
        with connection:
            connection.ensure_connection(max_retries=1, interval_start=0, timeout=int(_SECONDS))
            waiting = {queue: _waiting(connection, queue) for queue in _queues(current_app)}
            control = current_app.control.inspect(timeout=_SECONDS, connection=connection)
            answers = control.active_queues() or {}
    except unreachable as error:
        return Asked(broker=str(error) or "it does not answer")
    return Asked(
        workers={name: {queue["name"] for queue in taken} for name, taken in answers.items()},
        waiting=waiting,
    )


def flower_answers() -> bool | None:
    """Whether Flower answers, whatever it says; None where no setting names its address."""
    address = backup_settings().flower_url
    if urlsplit(address).scheme not in ("http", "https"):
        return None
    try:
        with urlopen(address, timeout=_SECONDS):  # noqa: S310  # http or https, as was just seen
            return True
    except HTTPError:
        return True  # it wants a password, for example
    except (OSError, http.client.HTTPException, ValueError):
        return False


def _queues(app: Any) -> list[str]:
    """Return the queues that the app's tasks are sent to."""
    routed = [app.amqp.router.route({}, task)["queue"].name for task in _TASKS]
    return list(dict.fromkeys(routed))


def _waiting(connection: Any, queue: str) -> int:
    """Return how many messages wait; none where nobody has declared the queue yet."""
    with connection.channel() as channel:
        try:
            return int(channel.queue_declare(queue=queue, passive=True).message_count)
        except connection.channel_errors:
            return 0
