"""Asks the Celery workers whether they are there."""

from __future__ import annotations

from backup_tasks.errors import Misconfigured

_SECONDS = 1.0


def answering() -> list[str]:
    """Return the workers that answer within a second, by name; none where the broker does not
    answer. Raises Misconfigured without Celery."""
    try:
        from celery import current_app
        from kombu.exceptions import OperationalError
    except ImportError as error:
        raise Misconfigured(
            f"workers need Celery: {error}", hint="Leave --workers out, or install celery."
        ) from error
    try:
        limits = {"socket_connect_timeout": _SECONDS, "socket_timeout": _SECONDS}
        connection = current_app.connection_for_write(
            connect_timeout=_SECONDS, transport_options=limits
        )
        with connection:
            connection.ensure_connection(max_retries=1, interval_start=0, timeout=int(_SECONDS))
            control = current_app.control.inspect(timeout=_SECONDS, connection=connection)
            return sorted(control.ping() or {})
    except OperationalError:
        return []
