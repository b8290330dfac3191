#!/usr/bin/env bash
# django-storages 1.14.6 on S3 (moto 5.1.18 as the server): which client sends a storage's requests.
#
# `storage.connection` is a resource per thread. `storage.bucket` is made once and kept by the storage, with
# the client of the thread that asked first. In any other thread `storage.connection.meta.client` is
# therefore not the one by which save(), open() and delete() reach S3: an event handler of botocore's that is
# registered on it (for conditional requests, metering, headers) is never called for them, and
# nothing says so. `storage.bucket.meta.client` is the one to register on.
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
import threading

from moto.server import ThreadedMotoServer

server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
with contextlib.redirect_stdout(sys.stderr):
    server.start()
host, port = server.get_host_and_port()

from storages.backends.s3 import S3Storage
from django.conf import settings
from django.core.files.base import ContentFile

settings.configure()
storage = S3Storage(
    bucket_name="documents",
    endpoint_url=f"http://{host}:{port}",
    region_name="us-east-1",
    access_key="testing",
    secret_key="testing",
)


def try_it(thread):
    seen = []
    connection, bucket = storage.connection.meta.client, storage.bucket.meta.client
    for name, client in (("connection", connection), ("bucket", bucket)):
        client.meta.events.register(
            "before-call.s3", lambda name=name, **_: seen.append(name), unique_id=f"{thread} {name}"
        )
    storage.save(f"{thread}.txt", ContentFile(b"content"))
    print(thread, "thread: the same client:", connection is bucket, "handlers called:", sorted(set(seen)))


storage.connection.meta.client.create_bucket(Bucket="documents")
try_it("first")
other = threading.Thread(target=try_it, args=("second",))
other.start()
other.join()
server.stop()
PYTHON

diff - "$folder/seen" <<'SEEN'
first thread: the same client: True handlers called: ['bucket', 'connection']
second thread: the same client: False handlers called: ['bucket']
SEEN
echo "as stated"
