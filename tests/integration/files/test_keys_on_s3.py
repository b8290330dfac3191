"""Keys of S3 that no storage can reach by their name."""

import pytest
from pytest_django import Settings

from backup_tasks.errors import StorageRefused
from backup_tasks.storage.files import Tree
from tests.s3 import Bucket


def test_a_key_with_two_slashes_is_refused_by_name_and_the_listing_ends(
    bucket: Bucket, settings: Settings
) -> None:
    """It is listed as a folder that lies within itself."""
    settings.STORAGES = {**settings.STORAGES, "default": bucket.storage("media")}
    bucket.client.put_object(Bucket=bucket.name, Key="media/odd//report.txt", Body=b"content")

    with pytest.raises(StorageRefused) as refused:
        list(Tree("default").names())

    assert refused.value.obj == "storage default: odd"
    assert "two slashes" in refused.value.what
