"""Requests to S3 that the server refuses unless the object is as it was when it was looked at.

S3 has no rename that could be a fence. But a request to write or delete an object can carry a
condition: its ETag (`If-Match`), or that there is none (`If-None-Match: *`). A process that was
stopped after it had asked whether it may go on, and sends its request late, thus does not change an
object that somebody else has changed since.

The storage sends its requests itself; the conditions are added to the parameters of its client.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from operator import attrgetter
from typing import Any

from django.core.files.storage import Storage

from backup_tasks.errors import BackupError, StorageUnavailable

_OPERATIONS = ("PutObject", "CompleteMultipartUpload", "DeleteObject")
_REFUSED, _UNKNOWN = (409, 412), 501
"""HTTP status: the condition does not hold, or another request is changing the object at this
moment; the service has no conditions."""
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
    def required(self) -> Iterator[None]:
        """Inside, requests that change the object are refused if it is not so any more. Raises
        StorageUnavailable then: the next try looks again."""
        events, endpoint = self._client.meta.events, self._client.meta.endpoint_url
        before = [(f"provide-client-params.s3.{name}", self._add) for name in _OPERATIONS]
        hooks = [*before, ("after-call.s3.DeleteObject", self._deleted)]
        if endpoint in _without:
            yield
            return
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
    is_s3 = any(kind.__module__ == "storages.backends.s3" for kind in type(storage).__mro__)
    return Condition(storage, name) if is_s3 else None


def _status(error: BaseException | None) -> int:
    while error is not None:
        answer = getattr(error, "response", None)
        if isinstance(answer, Mapping):
            return int(answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        error = error.__cause__
    return 0
