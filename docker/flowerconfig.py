"""Flower's options (`celery flower --conf=docker/flowerconfig.py`).

The login comes from the file that FLOWER_BASIC_AUTH_FILE names, as `user:password`: on the
command line or in a variable everybody who may inspect the container could read it. Without the
file Flower does not start.
"""

import os
from pathlib import Path

port = 5555
basic_auth = [Path(os.environ["FLOWER_BASIC_AUTH_FILE"]).read_text(encoding="utf-8").strip()]
# Flower's API can start and revoke tasks; runs are started and cancelled in the EDMS only.
read_only = True
# Behind a proxy that serves Flower under a path, for example `flower`.
url_prefix = os.environ.get("FLOWER_URL_PREFIX", "")
max_tasks = 10_000
