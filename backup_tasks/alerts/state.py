"""The file that remembers which incidents were told, and what is still to be sent.

A file, because alerts must work while the database is down; in the workspace, because all workers
and commands reach it: so beat and cron together tell an incident once. One process at a time holds
it. A file that can't be read as what it is counts as new: then everything is told again.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any, TypedDict, get_type_hints

from backup_tasks.alerts.incidents import Incident
from backup_tasks.alerts.message import Message
from backup_tasks.conf import backup_settings
from backup_tasks.errors import StorageRefused

logger = logging.getLogger(__name__)

_FORMAT = 1
_HINT = (
    "Whoever sends alerts must be able to write there: the workers, and the user that cron runs "
    "`backup_status --notify` as. `--state FILE` names another file."
)


class Sending(TypedDict):
    """A message that one channel has not taken yet."""

    message: Message
    channel: str
    tries: int
    next_at: str
    """ISO 8601."""


class State(TypedDict):
    """What the file holds."""

    format: int
    looked_at: str
    """ISO 8601; empty where nobody ever looked."""
    incidents: list[Incident]
    outbox: list[Sending]


def default_file() -> Path:
    """Return where workers and commands keep it."""
    return backup_settings().workspace / "alerts.json"


class StateFile:
    """The file while this process holds it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.state = _read(path)

    def save(self) -> None:
        """Write the state. A full disk is one of the things to tell, so the file is written in its
        own place where there is no room for a second one. Raises StorageRefused."""
        content = json.dumps(self.state, indent=1, ensure_ascii=False).encode() + b"\n"
        beside = self.path.with_suffix(".new")
        try:
            try:
                _write(beside, content, os.O_TRUNC)
                beside.replace(self.path)
            except OSError:
                with suppress(OSError):
                    beside.unlink()
                _write(self.path, content, 0)
        except OSError as error:
            raise StorageRefused(
                f"what was told can't be written down: {error}", obj=str(self.path), hint=_HINT
            ) from error


@contextmanager
def held(path: Path) -> Iterator[StateFile | None]:
    """Yield the file, or None where another process holds it. Raises StorageRefused."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise StorageRefused(
            f"the state of the alerts can't be read: {error}", obj=str(path), hint=_HINT
        ) from error
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield None
            return
        yield StateFile(path)
    finally:
        os.close(lock)


def moment(text: str) -> datetime | None:
    """Return a moment of the state, None for an empty one."""
    return datetime.fromisoformat(text) if text else None


def _write(path: Path, content: bytes, flags: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | flags, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.truncate()
        file.flush()
        os.fsync(file.fileno())


def _read(path: Path) -> State:
    try:
        found = json.loads(path.read_bytes())
    except FileNotFoundError:
        return _empty()
    except OSError as error:
        raise StorageRefused(
            f"the state of the alerts can't be read: {error}", obj=str(path), hint=_HINT
        ) from error
    except ValueError:
        found = None
    if not _is_state(found):
        logger.warning("%s is no state of alerts: all that is wrong is told again", path)
        return _empty()
    state: State = found
    return state


def _empty() -> State:
    return State(format=_FORMAT, looked_at="", incidents=[], outbox=[])


def _is_state(found: Any) -> bool:
    """Whether it has the form that this version writes."""
    return (
        _has(found, State)
        and found["format"] == _FORMAT
        and _is_moment(found["looked_at"], empty=True)
        and all(_has(each, Incident) for each in found["incidents"])
        and all(
            _has(each, Sending) and _is_moment(each["next_at"]) and _has(each["message"], Message)
            for each in found["outbox"]
        )
    )


def _has(found: Any, form: type) -> bool:
    """Whether it is a dictionary with the keys of a TypedDict, of their kinds."""
    if not isinstance(found, dict):
        return False
    for key, kind in get_type_hints(form).items():
        simple = kind if kind in (str, int) else list if "list" in str(kind) else dict
        if not isinstance(found.get(key), simple):
            return False
    return True


def _is_moment(text: str, *, empty: bool = False) -> bool:
    try:
        found = moment(text)
    except ValueError:
        return False
    return empty if found is None else found.tzinfo is not None
