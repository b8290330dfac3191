#!/usr/bin/env bash
# django-celery-beat 2.9.0 with celery 5.6.3: the database scheduler and a crontab that is due, but late.
#
# To keep its heap small the scheduler leaves out crontabs whose hour is a plain number that is not within
# about two hours of now. A nightly task whose hour passed three hours ago while beat was down is therefore
# not in the schedule when beat comes back: it is not run late, as celery's own scheduler would do, and
# nothing says so. The same hour written as a range, "2-2", is left in and is due at once.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    Django==5.2.8 celery==5.6.3 django-celery-beat==2.9.0

"$folder/venv/bin/python" - "$folder" >"$folder/seen" 2>"$folder/log" <<'PYTHON'
import sys
from datetime import timedelta

import django
from django.conf import settings

settings.configure(
    INSTALLED_APPS=["django_celery_beat"],
    DATABASES={
        "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": f"{sys.argv[1]}/beat.sqlite3"}
    },
    USE_TZ=True,
    TIME_ZONE="UTC",
)
django.setup()

from celery import Celery
from django.core.management import call_command
from django.utils import timezone
from django_celery_beat.models import CrontabSchedule, PeriodicTask
from django_celery_beat.schedulers import DatabaseScheduler

call_command("migrate", verbosity=0)
now = timezone.now()
missed = (now - timedelta(hours=5)).hour
for name, hour in (("plain number", f"{missed}"), ("range", f"{missed}-{missed}")):
    crontab = CrontabSchedule.objects.create(minute="0", hour=hour, timezone="UTC")
    PeriodicTask.objects.create(
        name=name, task="nightly", crontab=crontab, last_run_at=now - timedelta(days=2)
    )
app = Celery("edms", broker="memory://")
app.conf.timezone = "UTC"
schedule = DatabaseScheduler(app=app, lazy=True).all_as_schedule()
for name in ("plain number", "range"):
    if name in schedule:
        print(name, "is in the schedule, due:", schedule[name].is_due().is_due)
    else:
        print(name, "is not in the schedule")
PYTHON

diff - "$folder/seen" <<'SEEN'
plain number is not in the schedule
range is in the schedule, due: True
SEEN
echo "as stated"
