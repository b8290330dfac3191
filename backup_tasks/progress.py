"""How steps and long loops report their progress, and learn that they should stop."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol


class Progress(Protocol):
    """Reports progress: how much is done, of how much (None: unknown), of what. Cheap to call."""

    def __call__(self, done: int, total: int | None = None, note: str = "") -> None: ...


def _go_on() -> None:
    """Where nobody can tell a step to stop."""


_stop_check: ContextVar[Callable[[], None]] = ContextVar("stop check", default=_go_on)


@contextmanager
def stoppable(check: Callable[[], None]) -> Iterator[None]:
    """Inside, whoever reads a file calls `check` before each block: it raises the error with which
    the step is to stop."""
    token = _stop_check.set(check)
    try:
        yield
    finally:
        _stop_check.reset(token)


def stop_check() -> Callable[[], None]:
    """Return what raises an error if the step of this thread should stop. Cheap to call, from other
    threads too."""
    return _stop_check.get()
