"""The migration that is being applied in this thread, for messages that name it."""

from __future__ import annotations

import inspect

from django.db.migrations.executor import MigrationExecutor


def running_migration() -> str:
    """Return its name, `app.name`, or "". Django has no API for it, so the stack is searched."""
    frame = inspect.currentframe()
    while frame is not None:
        if frame.f_code is MigrationExecutor.apply_migration.__code__:
            return str(frame.f_locals["migration"])
        frame = frame.f_back
    return ""
