#!/usr/bin/env bash
# celery 5.4.0 with its own extra, celery[redis], and the kombu that it allows: it can't use Redis.
#
# celery 5.4.0 takes any kombu below 6, and its extra names redis-py below 6 itself, not the extra
# kombu[redis]. kombu 5.7.0 imports the package "packaging" in its Redis transport, and only its own extra
# asks for that (and for redis-py 6.4 or later). So what pip may install for "celery[redis]==5.4.0" passes
# "pip check", imports and makes an app, and the first connection, that of a worker or of a task that is sent,
# ends with ModuleNotFoundError.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    "celery[redis]==5.4.0" kombu==5.7.0 redis==5.3.1
{
    "$folder/venv/bin/pip" check --disable-pip-version-check
    "$folder/venv/bin/python" - <<'PYTHON'
from celery import Celery

app = Celery(broker="redis://127.0.0.1:1/0")
print("the app is made")
try:
    app.connection().transport
except Exception as error:
    print(type(error).__name__, error)
PYTHON
} >"$folder/seen" 2>"$folder/log"

diff - "$folder/seen" <<'SEEN'
No broken requirements found.
the app is made
ModuleNotFoundError No module named 'packaging'
SEEN
echo "as stated"
