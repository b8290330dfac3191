"""What the system checks of backup_tasks say."""

from collections.abc import Callable

from django.core.checks import CheckMessage, run_checks

Fired = Callable[..., CheckMessage]
"""Of the fixture `fired`."""


def messages() -> list[CheckMessage]:
    """What the checks of backup_tasks say, asked of no database: from Django 6.1 on, all are
    asked where none is named."""
    return [m for m in run_checks(databases=[]) if str(m.id).startswith("backup_tasks.")]
