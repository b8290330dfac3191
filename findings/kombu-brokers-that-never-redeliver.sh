#!/usr/bin/env bash
# kombu 5.7.0: two of its brokers lose a message whose consumer dies before it acknowledges.
#
# Late acknowledgement ("the message comes back if the worker is killed") is a promise of the broker. The
# file system transport takes a message out of the queue's folder when it is read; the SQLAlchemy
# transport sets visible = 0 and nothing ever sets it back. In both, a consumer that is killed with the
# message in its hands leaves an empty queue: no other consumer gets the message, however long it waits.
# With the SQL transport the row stays in kombu_message for ever.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check kombu==5.7.0 SQLAlchemy==2.0.44

cat >"$folder/consumer.py" <<'PYTHON'
import json
import os
import sys

from kombu import Connection

connection = Connection(sys.argv[1], transport_options=json.loads(sys.argv[2]))
print("consumer got", connection.SimpleQueue("backups").get(timeout=30).payload, flush=True)
os.kill(os.getpid(), 9)
PYTHON

cat >"$folder/try.py" <<'PYTHON'
import json
import sqlite3
import subprocess
import sys
from pathlib import Path
from queue import Empty

from kombu import Connection

folder = Path(sys.argv[1])


def publish_and_kill(url, options):
    with Connection(url, transport_options=options) as connection:
        connection.SimpleQueue("backups").put("dump of Monday")
    command = [sys.executable, folder / "consumer.py", url, json.dumps(options)]
    print(subprocess.run(command, capture_output=True, text=True).stdout.strip())
    with Connection(url, transport_options=options) as connection:
        try:
            connection.SimpleQueue("backups").get(timeout=5)
        except Empty:
            print("nothing for the next consumer")
        else:
            print("redelivered")


print("filesystem://")
names = {"data_folder_in": "queue", "data_folder_out": "queue", "control_folder": "control"}
for name in names.values():
    (folder / name).mkdir(exist_ok=True)
publish_and_kill("filesystem://", {key: str(folder / name) for key, name in names.items()})
print("files left:", len(list((folder / "queue").iterdir())))

print("sqla+sqlite://")
publish_and_kill(f"sqla+sqlite:///{folder}/queue.db", {})
rows = sqlite3.connect(folder / "queue.db").execute(
    "SELECT visible, count(*) FROM kombu_message GROUP BY visible"
)
print("(visible, rows):", rows.fetchall())
PYTHON

"$folder/venv/bin/python" "$folder/try.py" "$folder" >"$folder/seen"
diff - "$folder/seen" <<'SEEN'
filesystem://
consumer got dump of Monday
nothing for the next consumer
files left: 0
sqla+sqlite://
consumer got dump of Monday
nothing for the next consumer
(visible, rows): [(0, 1)]
SEEN
echo "as stated"
