"""S3: for how long a stop makes a request late: from the answer of the ledger to its last byte.

`-s` prints the figures of docs/explanation/concurrency.md.
"""

import re
import time
from collections.abc import Callable
from http.client import HTTPConnection
from statistics import median
from typing import Any

import pytest
from pytest_django import Settings

from backup_tasks.restore.run_folder import Ask, RunFolder
from backup_tasks.storage.files import Tree
from tests.integration.files.test_late_requests import tree
from tests.s3 import Bucket
from tests.unit.files.test_placement import RUN, prepare

__all__ = ["tree"]

FILES = 40
CASES: dict[str, tuple[int, Callable[[RunFolder, str], object]]] = {
    "a file of 1 kB is written": (1 << 10, lambda folder, name: folder.move_to_live(name)),
    "a file of 4 MB is written": (4 << 20, lambda folder, name: folder.move_to_live(name)),
    "a file of 9 MB is written": (9 << 20, lambda folder, name: folder.move_to_live(name)),
    "a file is deleted": (1 << 10, lambda folder, name: folder.move_from_live(name)),
}
AT_MOST = 0.5
"""Seconds. The machine of a test may do other things."""
REQUEST = re.compile(rb"[A-Z]+ /[^\r]* HTTP/1.1\r\n")
CHANGES = re.compile(rb"(PUT(?!.*partNumber)|DELETE|POST.*uploadId)")
"""The line of a request that changes an object. A part of an upload does not, its end does."""


@pytest.mark.parametrize("what", CASES)
def test_the_ledger_is_asked_right_before_a_request_is_sent(
    tree: Tree, bucket: Bucket, settings: Settings, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    size, do = CASES[what]
    answered, sent = [0.0], [0.0]
    windows: list[float] = []
    order: list[bytes] = []
    send = HTTPConnection.send

    def ask() -> None:
        order.append(b"answered")
        answered[0] = time.perf_counter()

    def timed(connection: HTTPConnection, data: Any) -> None:
        if isinstance(data, bytes) and REQUEST.match(data):
            order.append(data.partition(b"\r\n")[0])
        send(connection, data)
        sent[0] = time.perf_counter()

    count = FILES if size < 1 << 20 else 3
    content = {f"f{number}": bytes(size) for number in range(count)}
    prepare(tree, content if "deleted" in what else {}, {} if "deleted" in what else content)
    folder = RunFolder(tree, RUN, Ask(ask))
    monkeypatch.setattr(HTTPConnection, "send", timed)
    client: Any = tree.storage.bucket.meta.client  # type: ignore[attr-defined]

    def measured(**_: Any) -> None:
        windows.append(sent[0] - answered[0])

    for request in ("PutObject", "DeleteObject", "CompleteMultipartUpload"):
        client.meta.events.register(f"needs-retry.s3.{request}", measured)
    for name in content:
        do(folder, name)

    assert len(windows) >= 2 * count
    changes = [number for number, each in enumerate(order) if CHANGES.match(each)]
    assert len(changes) >= 2 * count
    assert [order[number] for number in changes if order[number - 1] != b"answered"] == []
    print(f"{what}: {1000 * median(windows):.2f} ms, at most {1000 * max(windows):.2f} ms")
    assert max(windows) < AT_MOST
