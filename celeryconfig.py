"""Celery's settings. Steps run for hours, may be killed anywhere, and must not be lost or doubled;
what Celery can do for that is set here, and the ledger of `backup_tasks` does the rest.

The ids in brackets are those of the observed failures in docs/evidence.md.
"""

from datetime import timedelta

from celery.schedules import crontab

from edms import environment

_DAY = 24 * 60 * 60
_NIGHTLY = {"hour": 2, "minute": 30}

# Broker

broker_url = environment.secret("REDIS_URL") or "redis://127.0.0.1:6379/0"
broker_connection_retry_on_startup = True
broker_transport_options = {
    # Redis delivers a message again that was not acknowledged for so long, also while its task is
    # at work (C1). So: far above the longest step. Nobody waits for it: a worker that was killed is
    # noticed by its step's lease, which the reconciler looks at every minute (C3).
    "visibility_timeout": _DAY,
    "socket_keepalive": True,
    "health_check_interval": 30,
}
# Redis being away when a step ends is no reason to lose the rest of the chain: 30 tries, about two
# minutes (C5). The reconciler sends what could not be sent even then (C4).
task_publish_retry_policy = {
    "max_retries": 30,
    "interval_start": 0,
    "interval_step": 0.5,
    "interval_max": 5,
}

# Delivery

task_acks_late = True  # a message is gone only when its task is done
task_reject_on_worker_lost = True  # a pool child killed by the kernel does not lose its task …
task_retry_on_worker_lost = True  # … and does not get it back for ever either (C2)
# A redelivered message whose task has succeeded leaves its result alone. Not enough by itself, a
# step at work has not succeeded yet (C1); the ledger's claims are.
worker_deduplicate_successful_tasks = True
worker_prefetch_multiplier = 1  # a worker reserves no step that another one could be doing
worker_disable_prefetch = True  # not even the one that comes next
# No time limits: a step takes as long as there is data. One that hangs is cancelled by an operator.
task_time_limit = None
task_soft_time_limit = None

# Queues: steps have workers of their own; what watches over them must not wait behind them.

task_default_queue = "celery"
task_routes = {
    "backup_tasks.nightly": {"queue": "celery"},
    "backup_tasks.reconcile": {"queue": "celery"},
    "backup_tasks.*": {"queue": "backups"},
}

# Results: one row per step, with its arguments; Flower and the admin show them (C7, C12).

result_backend = "backup_tasks.result_backend.ReconnectingBackend"
result_backend_always_retry = True  # the database may be restarted while a step works (C6)
result_backend_max_retries = 60  # about ten minutes, as long as a step waits for its ledger
result_extended = True
result_expires = timedelta(days=90)
task_track_started = True

# Events, for Flower

worker_send_task_events = True
task_send_sent_event = True

# Messages are JSON and hold ids only (C14).

accept_content = ["json"]
task_serializer = "json"
result_serializer = "json"

# Beat. UTC has no hour that is missing or happens twice (C16).

enable_utc = True
timezone = "UTC"
beat_schedule = {
    "nightly backup, then its drill": {
        "task": "backup_tasks.nightly",
        "schedule": crontab(**_NIGHTLY),
        # The run is unique on the policy and the day it was due: two beats start one (C15).
        "kwargs": {"policy": "nightly", "due": "{hour:02}:{minute:02}".format(**_NIGHTLY)},
    },
    "reconcile": {
        "task": "backup_tasks.reconcile",
        "schedule": timedelta(minutes=1),
        "options": {"expires": 55},  # the next one does what this one would have done
    },
}
