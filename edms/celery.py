"""The Celery app of the EDMS: `celery -A edms worker`. Its settings are `celeryconfig.py`."""

import os

from celery import Celery
from kombu.transport import TRANSPORT_ALIASES

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "edms.settings")
# By name: a command that talks to no broker does not import the client of one.
TRANSPORT_ALIASES.update(dict.fromkeys(("redis", "rediss"), "edms.broker:Transport"))

app = Celery("edms")
app.config_from_object("celeryconfig")
app.autodiscover_tasks()
