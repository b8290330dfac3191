"""Shows on stderr how a run goes on: a live bar on a terminal, else one line per step."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, TextIO

from backup_tasks.errors import BackupError

_WIDTH = 24
_PAUSE = 0.1


class ProgressDisplay:
    """A `foreground.Watcher` that writes to a stream."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._live = stream.isatty()
        self._step = ""
        self._since = 0.0
        self._drawn = 0.0

    def started(self, step: str, number: int, of: int) -> None:
        """A step begins."""
        self._step, self._since, self._drawn = f"{number}/{of} {step:<9}", time.monotonic(), 0.0
        if self._live:
            self.progressed(0)

    def progressed(self, done: int, total: int | None = None, note: str = "") -> None:
        """Draw the bar, at most ten times a second."""
        now = time.monotonic()
        if not self._live or now - self._drawn < _PAUSE:
            return
        self._drawn = now
        self._stream.write(f"\r\x1b[K  {self._step} {progress_text(done, total, note)}")
        self._stream.flush()

    def retrying(self, error: BackupError, delay: float) -> None:
        """Say what went wrong, and when the step is tried again."""
        self._line(f"! {self._step} {error} Trying again in {delay:.0f} s.")

    def ended(self, result: Mapping[str, Any]) -> None:
        """Say how long the step took."""
        self._line(f"✓ {self._step} {time.monotonic() - self._since:.1f} s")

    def _line(self, text: str) -> None:
        start = "\r\x1b[K" if self._live else ""
        self._stream.write(f"{start}{text}\n")
        self._stream.flush()


def progress_text(done: int, total: int | None, note: str) -> str:
    """Return a bar with figures, for example `[████····] 120/240 documents`."""
    if not total:
        return f"{done:,} {note}" if done else note
    filled = min(_WIDTH, _WIDTH * done // total)
    return f"[{'█' * filled}{'·' * (_WIDTH - filled)}] {done:,}/{total:,} {note}"
