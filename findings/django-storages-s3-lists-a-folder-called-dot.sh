#!/usr/bin/env bash
# django-storages 1.14.6 on S3 (moto 5.1.18 as the server): a key with two slashes in a row.
#
# `listdir("odd")` over the key "odd//report.txt" returns a folder called "." and no file. Asked for
# `listdir("odd/.")`, the storage normalises the name to "odd" and returns "." again, so code that walks
# the tree by listdir(), as backup tools do, never reaches the file and never comes to an end. The object
# itself is there: the client's own list_objects_v2 shows it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    Django==5.2.8 "django-storages[s3]==1.14.6" "moto[s3,server]==5.1.18"

AWS_ACCESS_KEY_ID=testing AWS_SECRET_ACCESS_KEY=testing \
    "$folder/venv/bin/python" - >"$folder/seen" 2>"$folder/log" <<'PYTHON'
import contextlib
import sys

from moto.server import ThreadedMotoServer

server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
with contextlib.redirect_stdout(sys.stderr):
    server.start()
host, port = server.get_host_and_port()

from storages.backends.s3 import S3Storage
from django.conf import settings

settings.configure()
storage = S3Storage(
    bucket_name="documents",
    endpoint_url=f"http://{host}:{port}",
    region_name="us-east-1",
    access_key="testing",
    secret_key="testing",
)
client = storage.connection.meta.client
client.create_bucket(Bucket="documents")
client.put_object(Bucket="documents", Key="odd//report.txt", Body=b"content")
print("keys", [entry["Key"] for entry in client.list_objects_v2(Bucket="documents")["Contents"]])
for name in ("", "odd", "odd/.", "odd/./."):
    print(repr(name), storage.listdir(name))
server.stop()
PYTHON

diff - "$folder/seen" <<'SEEN'
keys ['odd//report.txt']
'' (['odd'], [])
'odd' (['.'], [])
'odd/.' (['.'], [])
'odd/./.' (['.'], [])
SEEN
echo "as stated"
