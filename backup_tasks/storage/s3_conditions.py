"""Requests to S3 that the server refuses unless the object is as it was when it was looked at.

S3 has no rename that could be a fence. But a request to write or delete an object can carry a
condition: its ETag (`If-Match`), or that there is none (`If-None-Match: *`). A process that was
stopped after it had asked whether it may go on, and sends its request late, thus does not change an
object that somebody else has changed since.

The process asks once more at the last moment, when the request is signed and about to be sent. The
run that writes an object of live is told in the object's metadata, so that a late request can be
found: `restore.late_requests`.

The storage sends its requests itself; the conditions are added to the parameters of its client.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from operator import attrgetter
from threading import Thread, current_thread
from typing import Any

from django.core.files.storage import Storage
from django.db import connections

from backup_tasks.errors import BackupError, StorageUnavailable

_OPERATIONS = ("PutObject", "CompleteMultipartUpload", "DeleteObject")
_WRITES = ("PutObject", "CreateMultipartUpload")
_WRITER = "backup-tasks-run"
"""Metadata of an object: the run that has written it."""
_REFUSED, _UNKNOWN, _MISSING = (409, 412), 501, 404
"""HTTP status: the condition does not hold, or another request is changing the object at this
moment; the service has no conditions; there is no such object."""
_parameters_of = attrgetter("input_shape.members")
"""What an operation can be given: an older library has no conditions."""
_without: set[str] = set()
"""Endpoints of services that have none."""


class Condition:
    """That an object is as it is now. `storage` is one of django-storages' for S3."""

    def __init__(self, storage: Any, name: str) -> None:
        # Both as the storage itself does it.
        self._key = storage._normalize_name(name)
        self._client = storage.bucket.meta.client
        self._etag = self._ask(storage.bucket_name)

    def _ask(self, bucket: str) -> str:
        page = self._client.list_objects_v2(Bucket=bucket, Prefix=self._key, MaxKeys=1)
        # The first key with a prefix is the one that is equal to it.
        found: Mapping[str, Any] = next(iter(page.get("Contents", ())), {})
        return str(found["ETag"]) if found.get("Key") == self._key else ""

    @contextmanager
    def required(self, ask: Callable[[], None], *, writer: str = "") -> Iterator[None]:
        """Inside, requests that change the object are refused if it is not so any more. Raises
        StorageUnavailable then: the next try looks again.

        `ask` is called right before each of these requests is sent. What it raises is raised, and
        the request is not sent. `writer` is the run that writes an object of live.
        """
        events, endpoint = self._client.meta.events, self._client.meta.endpoint_url
        asking = partial(_ask, ask, current_thread())
        hooks: list[tuple[str, Callable[..., None]]] = []
        hooks += [(f"before-send.s3.{name}", asking) for name in _OPERATIONS]
        if writer:
            signing = partial(self._sign, writer)
            hooks += [(f"provide-client-params.s3.{name}", signing) for name in _WRITES]
        if endpoint not in _without:
            hooks += [(f"provide-client-params.s3.{name}", self._add) for name in _OPERATIONS]
            hooks.append(("after-call.s3.DeleteObject", self._deleted))
        for event, hook in hooks:
            events.register(event, hook)
        try:
            yield
        except BackupError as error:
            status = _status(error)
            if status == _UNKNOWN:
                _without.add(endpoint)
            elif status not in _REFUSED:
                raise
            raise StorageUnavailable(
                "the service has no conditional requests: the next try makes none"
                if status == _UNKNOWN
                else "somebody else has changed the object since it was looked at",
                error.obj,
            ) from error
        finally:
            for event, hook in hooks:
                events.unregister(event, hook)

    def _sign(self, writer: str, params: dict[str, Any], **_: Any) -> None:
        if params.get("Key") == self._key:
            params["Metadata"] = {**params.get("Metadata", {}), _WRITER: writer}

    def _add(self, params: dict[str, Any], model: Any, **_: Any) -> None:
        known = _parameters_of(model)
        if params.get("Key") != self._key:
            return
        if self._etag and "IfMatch" in known:
            params["IfMatch"] = self._etag
        elif not self._etag and "IfNoneMatch" in known:
            params["IfNoneMatch"] = "*"

    def _deleted(self, **_: Any) -> None:
        """A storage that never overwrites deletes first."""
        self._etag = ""


def condition(storage: Storage, name: str) -> Condition | None:
    """Look at the object; None where the storage is not on S3."""
    return Condition(storage, name) if _is_s3(storage) else None


def writer_of(storage: Any, name: str) -> str:
    """Return the run that has written the object. "" if it is of no run, or there is none."""
    if not _is_s3(storage):
        return ""
    try:
        found = storage.bucket.meta.client.head_object(
            Bucket=storage.bucket_name, Key=storage._normalize_name(name)
        )
    except storage.bucket.meta.client.exceptions.ClientError as error:
        if _status(error) == _MISSING:
            return ""
        raise
    return str(found.get("Metadata", {}).get(_WRITER, ""))


def _is_s3(storage: Storage) -> bool:
    return any(kind.__module__ == "storages.backends.s3" for kind in type(storage).__mro__)


def _ask(ask: Callable[[], None], asker: Thread, **_: Any) -> None:
    """Ask. A thread of the library's own that sends the request leaves no connection behind."""
    try:
        ask()
    finally:
        if current_thread() is not asker:
            connections.close_all()


def _status(error: BaseException | None) -> int:
    while error is not None:
        answer = getattr(error, "response", None)
        if isinstance(answer, Mapping):
            return int(answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        error = error.__cause__
    return 0
