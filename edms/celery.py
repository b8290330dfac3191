"""The Celery app of the EDMS: `celery -A edms worker`. Its settings are `celeryconfig.py`."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "edms.settings")

app = Celery("edms")
app.config_from_object("celeryconfig")
app.autodiscover_tasks()
