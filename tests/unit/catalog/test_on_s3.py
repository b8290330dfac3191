"""On S3, what others put beside the packages, or delete while they are listed, stops nobody."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.core.files.storage import storages
from pytest_django import Settings

from backup_tasks.storage import catalogue
from tests.s3 import Bucket
from tests.unit.catalog.conftest import NAME, Shelf


@pytest.fixture
def store(shelf: Shelf, bucket: Bucket, settings: Settings) -> Bucket:
    """A store on S3 with one package."""
    sidecar = shelf.put()
    settings.STORAGES = {**settings.STORAGES, "first": bucket.storage("store")}
    settings.BACKUP = {**settings.BACKUP, "STORES": ["first"]}
    for name in (NAME, sidecar.file_name):
        put(bucket, name, (shelf.folder / "first" / name).read_bytes())
    return bucket


def put(bucket: Bucket, name: str, content: bytes) -> None:
    bucket.client.put_object(Bucket=bucket.name, Key=f"store/{name}", Body=content)


def test_what_is_deleted_while_the_store_is_listed_is_skipped(
    store: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A create_backup that had already published failed at it, while another host pruned."""
    held = store.held("store")
    values = json.loads(held[NAME.replace(".tar.zst", ".json")])
    for name in ("gone", "half"):
        sidecar = json.dumps({**values, "name": f"{name}.tar.zst"}).encode()
        put(store, f"{name}.json", sidecar)
        put(store, f"{name}.tar.zst", held[NAME])
    kind = type(storages["first"])
    list_all = kind.listdir

    def pruned_meanwhile(storage: Any, path: str) -> Any:
        listed = list_all(storage, path)
        for key in ("store/gone.json", "store/gone.tar.zst", "store/half.json"):
            store.client.delete_object(Bucket=store.name, Key=key)
        return listed

    monkeypatch.setattr(kind, "listdir", pruned_meanwhile)

    contents = catalogue.read()

    assert [package.sidecar.name for package in contents.found] == [NAME]
    assert contents.broken == ()
    assert contents.unread == {}


def test_names_that_mean_something_to_the_storage_are_broken_and_nothing_else(
    store: Bucket,
) -> None:
    """The storage takes a backslash for a slash, and refuses what then leaves its folder."""
    for name in (
        "a\\..\\..\\outside.json",
        "sub\\inside.json",
        "\x1b[2J.json",
        "é" * 100 + ".json",
    ):
        put(store, name, b"{}")

    contents = catalogue.read()

    assert [package.sidecar.name for package in contents.found] == [NAME]
    assert len(contents.broken) == 4
    assert catalogue.find(NAME)[1].name == NAME


def test_a_sidecar_that_nobody_may_read_is_broken(store: Bucket) -> None:
    put(store, "secret.json", b"{}")
    resource = f"arn:aws:s3:::{store.name}/store/secret.json"
    store.client.put_bucket_policy(
        Bucket=store.name,
        Policy=json.dumps(
            {
                "Version": "2012-10-17",
                "Statement": [
                    {
                        "Effect": "Deny",
                        "Principal": "*",
                        "Action": "s3:GetObject",
                        "Resource": resource,
                    }
                ],
            }
        ),
    )

    contents = catalogue.read()

    assert [package.sidecar.name for package in contents.found] == [NAME]
    assert [odd.file_name for odd in contents.broken] == ["secret.json"]
