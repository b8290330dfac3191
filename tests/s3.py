"""A real S3 API on 127.0.0.1, and buckets of a test's own."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

KEYS = {"access_key": "test", "secret_key": "test", "region_name": "us-east-1"}


@dataclass(frozen=True, kw_only=True)
class Bucket:
    """A bucket, empty at first."""

    endpoint: str
    name: str = field(default_factory=lambda: f"bucket-{uuid4().hex[:8]}")

    @property
    def client(self) -> Any:
        import boto3  # here, as moto below: what no other test has to wait for

        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=KEYS["access_key"],
            aws_secret_access_key=KEYS["secret_key"],
            region_name=KEYS["region_name"],
        )

    def storage(self, location: str, **options: Any) -> dict[str, Any]:
        """The entry of STORAGES for a folder of the bucket."""
        return {
            "BACKEND": "storages.backends.s3.S3Storage",
            "OPTIONS": {
                **KEYS,
                "bucket_name": self.name,
                "endpoint_url": self.endpoint,
                "location": location,
                "max_memory_size": 1 << 20,
                **options,
            },
        }

    def held(self, location: str) -> dict[str, bytes]:
        """What is in a folder of the bucket, ours left out; asked of the server itself."""
        client, found = self.client, {}
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=self.name):
            for entry in page.get("Contents", ()):
                folder, _, name = entry["Key"].partition("/")
                if folder == location and not name.startswith(".backup_tasks/"):
                    body = client.get_object(Bucket=self.name, Key=entry["Key"])["Body"]
                    found[name] = body.read()
        return found

    def deny(self, action: str) -> None:
        """Let nobody do this any more, `s3:PutObject` for example."""
        resource = f"arn:aws:s3:::{self.name}/*"
        self.client.put_bucket_policy(
            Bucket=self.name,
            Policy=f'{{"Version": "2012-10-17", "Statement": [{{"Effect": "Deny",'
            f' "Principal": "*", "Action": "{action}", "Resource": "{resource}"}}]}}',
        )


@contextmanager
def s3_server() -> Iterator[str]:
    """Start a server for the block; yield its URL."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield f"http://{host}:{port}"
    finally:
        server.stop()
