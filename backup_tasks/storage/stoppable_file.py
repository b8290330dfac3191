"""A file that is given to a storage, and stops being read when the step should stop."""

from __future__ import annotations

from typing import IO, Any

from django.core.files import File

from backup_tasks.progress import stop_check


class StoppableFile(File):  # type: ignore[type-arg]  # it is no generic class when it runs
    """Each read asks first whether the step should stop, also in the threads in which a storage's
    library reads. The library then gives the upload up: S3's ends one in parts by aborting it."""

    def __init__(self, file: IO[bytes], name: str | None = None) -> None:
        super().__init__(file, name)
        self._read = file.read
        self._stop_if_told = stop_check()

    def read(self, size: int = -1, /) -> Any:
        self._stop_if_told()
        return self._read(size)
