"""Celery's settings for the EDMS. Why each is what it is says `backup_tasks.celery_defaults`."""

from backup_tasks.celery_defaults import *  # noqa: F403 - what it is for
from edms import environment

broker_url = environment.secret("REDIS_URL") or "redis://127.0.0.1:6379/0"
