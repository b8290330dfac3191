"""The EDMS with django-dbbackup installed, as its documentation says."""

import os

from edms.settings import *  # noqa: F403  # all of them
from edms.settings import INSTALLED_APPS, STORAGES

INSTALLED_APPS = [*INSTALLED_APPS, "dbbackup"]
STORAGES = {
    **STORAGES,
    "dbbackup": {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": os.environ["BENCH_DBBACKUP_FOLDER"]},
    },
}
DBBACKUP_GPG_RECIPIENT = os.environ["BENCH_GPG_RECIPIENT"]
DBBACKUP_GPG_ALWAYS_TRUST = True
