"""Celery results in Django's database, on a new connection where the old one was cut."""

from __future__ import annotations

from django.db import DatabaseError, InterfaceError, connections, router
from django_celery_results.backends import DatabaseBackend
from django_celery_results.models import TaskResult

from backup_tasks.error_classification import explain
from backup_tasks.errors import DatabaseUnavailable


class ReconnectingBackend(DatabaseBackend):  # type: ignore[misc]  # it ships no types
    """Stores a result again when the database was restarted while the step worked.

    Without it the step is stored as a failure ("connection is closed") while its chain goes on
    (C6): the parent class knows InterfaceError only, and only for the default connection. Needs
    `result_backend_always_retry`.
    """

    def exception_safe_to_retry(self, exc: Exception) -> bool:
        """Tell whether to try again, and close the connection that failed."""
        if not isinstance(exc, DatabaseError | InterfaceError):
            return False
        connections[router.db_for_write(TaskResult)].close()
        return isinstance(explain(exc), DatabaseUnavailable)
