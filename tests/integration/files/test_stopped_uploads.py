"""A step that is told to stop gives up the upload of a large file, and leaves nothing on S3."""

from hashlib import sha256
from pathlib import Path
from threading import Event
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.files.storage import storages
from pytest_django import Settings

from backup_tasks.errors import Cancelled
from backup_tasks.progress import stoppable
from backup_tasks.storage.files import Tree
from backup_tasks.storage.store import Store
from tests.s3 import Bucket

SIZE = 64 << 20
HASHED_FIRST = 64
"""Blocks of the file, before a store uploads it."""


class Told:
    """Says after so many blocks, and the event, that the step should stop."""

    def __init__(self, after: int, event: Event | None = None) -> None:
        self.left, self._event = after, event

    def __call__(self) -> None:
        self.left -= 1
        if self.left < 0:
            assert self._event is None or self._event.wait(20)
            raise Cancelled("the run was cancelled")


@pytest.fixture
def large(tmp_path: Path) -> Path:
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(SIZE)  # it takes no space
    return path


@pytest.mark.parametrize("what", ["file", "package"])
def test_an_upload_in_parts_is_aborted(
    what: str, large: Path, bucket: Bucket, settings: Settings
) -> None:
    settings.STORAGES = {**settings.STORAGES, "default": bucket.storage("media")}
    sent = Event()
    client: Any = storages["default"].bucket.meta.client  # type: ignore[attr-defined]
    client.meta.events.register("after-call.s3.UploadPart", lambda **_: sent.set())

    def upload() -> None:
        if what == "file":
            with large.open("rb") as content:
                Tree("default").write("large", content)
        else:
            digest = sha256(bytes(SIZE)).hexdigest()
            sidecar: Any = SimpleNamespace(
                name="large", file_name="large.json", size=SIZE, sha256=digest
            )
            Store(storages["default"], alias="default")._upload(large, sidecar)

    with (
        pytest.raises(Cancelled),
        stoppable(Told(3 if what == "file" else HASHED_FIRST + 3, sent)),
    ):
        upload()

    assert sent.is_set(), "a part of it"
    assert bucket.held("media") == {}
    assert "Uploads" not in bucket.client.list_multipart_uploads(Bucket=bucket.name)


def test_a_file_on_a_disk_is_not_left_half_written(large: Path, settings: Settings) -> None:
    tree = Tree("default")
    with pytest.raises(Cancelled), large.open("rb") as content, stoppable(Told(after=3)):
        tree.write("a/large", content)
    assert list(tree.names()) == []
    assert tree.folder is not None
    assert [path for path in tree.folder.rglob("*") if path.is_file()] == []
