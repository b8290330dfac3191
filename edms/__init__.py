"""An electronic document management system for controlled documents."""

from edms.celery import app as celery_app

__all__ = ["celery_app"]
