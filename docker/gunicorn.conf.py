"""How gunicorn serves the EDMS; gunicorn reads the names below as its settings."""

import os

bind = "0.0.0.0:8000"
workers = int(os.environ.get("WEB_CONCURRENCY", "2"))
threads = 4
# Long enough for the upload of a large document. Backups run in workers, never in a request.
timeout = 120
graceful_timeout = 30
# Heartbeat files of the workers: on a file system in memory, since the root is read only.
worker_tmp_dir = "/dev/shm"  # noqa: S108
accesslog = "-"
errorlog = "-"
# A worker is replaced now and then, each at another time, so that no leak can grow for long.
max_requests = 5000
max_requests_jitter = 500
# The proxy in front is reached over the container network, whose addresses are not known here.
forwarded_allow_ips = "*"
