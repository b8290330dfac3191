"""Uploads of packages: received into quarantine, and verified by a run at once."""

from __future__ import annotations

import hashlib
import io
from datetime import timedelta
from pathlib import Path
from typing import Any, BinaryIO

from django.contrib import messages
from django.core.files.uploadedfile import UploadedFile
from django.core.files.uploadhandler import FileUploadHandler, SkipFile, StopUpload
from django.db import DatabaseError, InterfaceError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse

from backup_tasks import moments
from backup_tasks.admin import starting
from backup_tasks.admin.display import badge
from backup_tasks.conf import backup_settings
from backup_tasks.error_classification import explain, storage_failed
from backup_tasks.errors import BackupError, Misconfigured
from backup_tasks.evidence import audit
from backup_tasks.models import Run
from backup_tasks.package.sidecar import SIDECAR_LIMIT
from backup_tasks.package.streams import Written
from backup_tasks.storage import uploads
from backup_tasks.storage.disk_space import in_words
from backup_tasks.storage.uploads import PACKAGE, SIDECAR, Upload

_FORM_ROOM = 1 << 16
"""Bytes that the form has besides the two files."""

_PAGE = "admin:backup_tasks_package_upload"


class Receiver(FileUploadHandler):
    """Writes the two files of the form to the quarantine while they arrive."""

    def __init__(self, request: HttpRequest, folder: Path) -> None:
        super().__init__(request)
        self.folder = folder
        self._limits = {PACKAGE: backup_settings().upload_limit, SIDECAR: SIDECAR_LIMIT}
        self._file: BinaryIO = io.BytesIO()
        self._hash, self._size = hashlib.sha256(), 0
        self.written: dict[str, tuple[str, Written]] = {}
        """Field → name that the browser gave, and what was received."""
        self.error: BackupError | None = None

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        """Begin a file. One of another field, or a second one, is passed over."""
        super().new_file(*args, **kwargs)
        if self.field_name not in self._limits or self.field_name in self.written:
            raise SkipFile
        self._hash, self._size = hashlib.sha256(), 0
        try:
            self._file = (self.folder / self.field_name).open("xb")
        except OSError as error:
            self._stop(storage_failed("the upload can't be written", error, obj=str(self.folder)))

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        """Write a chunk. Where there is too much, or no room, the upload ends there."""
        self._size += len(raw_data)
        limit = self._limits[str(self.field_name)]
        if self._size > limit:
            self._stop(_too_large(limit, str(self.field_name)))
        self._hash.update(raw_data)
        try:
            self._file.write(raw_data)
        except OSError as error:
            self._stop(storage_failed("the upload can't be written", error, obj=str(self.folder)))

    def file_complete(self, file_size: int) -> UploadedFile | None:
        """Close the file, and tell Django of it without its content."""
        self._file.close()
        if not file_size:  # a field that was left empty
            (self.folder / str(self.field_name)).unlink()
            return None
        written = Written(size=self._size, sha256=self._hash.hexdigest())
        self.written[str(self.field_name)] = (str(self.file_name), written)
        return UploadedFile(io.BytesIO(), self.file_name, size=file_size)

    def upload_interrupted(self) -> None:
        """Close what is open; the folder is removed by whoever made it."""
        self._file.close()

    def drop_unfinished(self) -> None:
        """Remove the folder unless it became an upload."""
        if uploads.of(self.folder.name) is None:
            self._file.close()
            uploads.remove(self.folder)

    def _stop(self, error: BackupError) -> None:
        self.error = error
        self._file.close()
        raise StopUpload(connection_reset=True)


def begin(request: HttpRequest) -> Receiver:
    """Return what receives the files of a request, whose body was not read yet. Raises
    Misconfigured if it is too large, StorageRefused if there is no room."""
    size = int(request.META.get("CONTENT_LENGTH") or 0)
    limit = backup_settings().upload_limit
    if size > limit + SIDECAR_LIMIT + _FORM_ROOM:
        raise _too_large(limit, PACKAGE)
    receiver = Receiver(request, uploads.begin(size))
    request.upload_handlers = [receiver]
    return receiver


def receive(request: HttpRequest, receiver: Receiver) -> HttpResponse:
    """Take what has arrived into quarantine, and start its verification. Raises BackupError."""
    _ = request.FILES  # receives them, unless looking for the token in the form has done so
    if receiver.error:
        raise receiver.error
    if PACKAGE not in receiver.written:
        raise Misconfigured("no package was chosen", hint="Choose the file of a package.")
    name, written = receiver.written[PACKAGE]
    upload = uploads.complete(receiver.folder, name, written)
    by, details = request.user.get_username(), {"sha256": written.sha256, "size": written.size}
    audit.record("uploaded", upload.name, through="admin", by=by, details=details)
    return verify(request, upload)


def verify(request: HttpRequest, upload: Upload) -> HttpResponse:
    """Start the run that verifies an upload, and publishes it if it is sound."""
    params = {"package": str(upload.path), "admit": True}
    return starting.start_on_workers(request, Run.Kind.VERIFY, params, back=reverse(_PAGE))


def remove(request: HttpRequest, upload: Upload) -> HttpResponse:
    """Remove an upload."""
    uploads.remove(upload.path.parent)
    by = request.user.get_username()
    audit.record("upload removed", upload.name, through="admin", by=by)
    messages.success(request, f"{upload.name} is removed.")
    return redirect(_PAGE)


def told() -> list[dict[str, Any]]:
    """Return what is in quarantine, with the runs that verify it."""
    since = moments.now() - timedelta(days=2)
    runs = {
        run.params.get("package"): run
        for run in Run.objects.filter(kind=Run.Kind.VERIFY, created_at__gte=since).order_by(
            "created_at"
        )
        if run.params.get("admit")
    }
    found = []
    for upload in uploads.waiting():
        run = runs.get(str(upload.path))
        why = ((run.error or {}).get("what", "") if run else "") or ""
        found.append(
            {"upload": upload, "run": run, "badge": badge(run.state) if run else "", "why": why}
        )
    return found


def failed(request: HttpRequest, raised: Exception) -> HttpResponse:
    """Say why an upload was not taken."""
    starting.tell_error(request, explain(raised))
    return redirect(_PAGE)


ERRORS = (BackupError, DatabaseError, InterfaceError, OSError)


def _too_large(limit: int, what: str) -> Misconfigured:
    return Misconfigured(
        f"the {what} is larger than {in_words(limit)}, and was not taken",
        hint="Raise BACKUP['UPLOAD_LIMIT'], or put it into the store by other means.",
    )
