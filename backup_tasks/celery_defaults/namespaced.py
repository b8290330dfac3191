"""The same, as Django's settings have it: `task_routes` is `CELERY_TASK_ROUTES`."""

from backup_tasks import celery_defaults

_named = {
    f"CELERY_{name.upper()}": getattr(celery_defaults, name) for name in celery_defaults.__all__
}

__all__ = list(_named)
globals().update(_named)
