"""What steps need of Celery: they run for hours, may be killed anywhere, and must not be lost or
doubled. What Celery can do for that is set here; the ledger does the rest.

In a `celeryconfig.py`:

    from backup_tasks.celery_defaults import *

In Django's settings, for `app.config_from_object("django.conf:settings", namespace="CELERY")`:

    from backup_tasks.celery_defaults.namespaced import *

Whatever stands below the import, in the project's module, overrides it. The broker's URL is the
project's. Tasks of `backup_tasks` themselves say that they are acknowledged late: other tasks are
acknowledged as the project says.

The ids in brackets are those of the observed failures in docs/evidence.md.
"""

from datetime import timedelta
from typing import Any

from kombu.transport import TRANSPORT_ALIASES

from backup_tasks.celery_defaults.beat import entries
from backup_tasks.schedules import NIGHTLY

__all__ = [
    "accept_content",
    "beat_schedule",
    "broker_connection_max_retries",
    "broker_connection_retry_on_startup",
    "broker_transport_options",
    "enable_utc",
    "result_backend",
    "result_backend_always_retry",
    "result_backend_max_retries",
    "result_expires",
    "result_extended",
    "result_serializer",
    "task_publish_retry_policy",
    "task_retry_on_worker_lost",
    "task_routes",
    "task_send_sent_event",
    "task_serializer",
    "timezone",
    "worker_deduplicate_successful_tasks",
    "worker_disable_prefetch",
    "worker_prefetch_multiplier",
    "worker_send_task_events",
]

_DAY = 24 * 60 * 60

# Broker. It may be restarted while a step runs (C20). By name: a command that talks to no broker
# does not import the client of one.

TRANSPORT_ALIASES.update(
    dict.fromkeys(("redis", "rediss"), "backup_tasks.redis_transport:Transport")
)
broker_connection_retry_on_startup = True
broker_connection_max_retries = None  # a worker that gave up would have to be started by hand
broker_transport_options: dict[str, Any] = {
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

# Delivery. A pool child killed by the kernel does not lose its task, and does not get it back for
# ever either (C2).

task_retry_on_worker_lost = True
# A redelivered message whose task has succeeded leaves its result alone. Not enough by itself, a
# step at work has not succeeded yet (C1); the ledger's claims are.
worker_deduplicate_successful_tasks = True
worker_prefetch_multiplier = 1  # a worker reserves no step that another one could be doing
worker_disable_prefetch = True  # not even the one that comes next

# Queues: steps have workers of their own; what watches over them must not wait behind them.

task_routes: dict[str, dict[str, str]] = {
    "backup_tasks.scheduled": {"queue": "celery"},
    "backup_tasks.reconcile": {"queue": "celery"},
    "backup_tasks.*": {"queue": "backups"},
}

# Results: one row per step, with its arguments; Flower and the admin show them (C7, C12).

result_backend = "backup_tasks.result_backend.ReconnectingBackend"
result_backend_always_retry = True  # the database may be restarted while a step works (C6)
result_backend_max_retries = 60  # about ten minutes, as long as a step waits for its ledger
result_extended = True
result_expires = timedelta(days=90)

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
# A project that has `BACKUP["SCHEDULES"]` makes its entries of them, by the same function.
beat_schedule: dict[str, dict[str, Any]] = entries(NIGHTLY)
