"""How steps and long loops report their progress."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Reports progress: how much is done, of how much (None: unknown), of what. Cheap to call."""

    def __call__(self, done: int, total: int | None = None, note: str = "") -> None: ...
