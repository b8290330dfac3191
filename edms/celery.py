"""The Celery app of the EDMS: `celery -A edms worker`. Its settings are `celeryconfig.py`."""

import os

from celery import Celery

from edms.broker import use_for_redis

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "edms.settings")
use_for_redis()

app = Celery("edms")
app.config_from_object("celeryconfig")
app.autodiscover_tasks()
