"""Looks at the light and tells what changed.

The reconciler calls `watch` every minute, `backup_status --notify` calls `tell` with what it has
seen. Both go by one state, so an incident is told once, whoever sees it first.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

from backup_tasks import moments
from backup_tasks.alerts import incidents, outbox, pings
from backup_tasks.alerts.channels import Channel, channels
from backup_tasks.alerts.message import message_of
from backup_tasks.alerts.state import StateFile, default_file, held, moment
from backup_tasks.conf import backup_settings
from backup_tasks.errors import BackupError
from backup_tasks.status import gather
from backup_tasks.status.conditions import CONDITIONS, judge, not_asked
from backup_tasks.status.light import Light, Reason, Status

EVERY = timedelta(minutes=5)
"""How often the reconciler looks: it reads the stores each time."""


def watch() -> list[str]:
    """Look if nobody has for five minutes, and send what is due; return the problems, in words.

    Does nothing where no channel and no ping is set, or where another process is at it. Raises
    StorageRefused where the state can't be read.
    """
    wanted = channels()
    if not wanted and pings.STATUS not in backup_settings().pings:
        return []
    with held(default_file()) as file:
        if file is None:
            return []
        if _is_due(file):
            return _tell(file, _look(), wanted)
        if outbox.is_due(file.state, moments.now()):
            return outbox.send(file, wanted)
    return []


def _look() -> Status:
    try:
        return judge(gather.of_stores())
    except BackupError as error:
        return not_looked(error)


def not_looked(error: BackupError) -> Status:
    """Return the light of somebody who could not even look, such as for a trusted key that is no
    key: unknown, and all else as it was."""
    reason = Reason(
        light=Light.UNKNOWN,
        name=not_asked.__name__,
        about=error.obj or "the backups",
        what=f"nobody could look at the backups: {error.what}",
        remedy=error.hint,
    )
    others = {each.name for each in CONDITIONS} - {reason.name}
    return Status(light=Light.UNKNOWN, reasons=[reason], unasked=others)


def tell(status: Status, *, path: Path | None = None) -> list[str]:
    """Tell what changed since the last look; return what could not be sent, in words. Raises
    StorageRefused."""
    with held(path or default_file()) as file:
        if file is None:
            return ["another process is sending alerts at this moment"]
        return _tell(file, status, channels())


def _tell(file: StateFile, status: Status, wanted: Mapping[str, Channel]) -> list[str]:
    now = moments.now()
    change = incidents.compare(file.state["incidents"], status, now)
    file.state["looked_at"] = now.isoformat()
    file.state["incidents"] = change.open
    if change.began or change.over:
        outbox.put(file.state, message_of(change, status, now), wanted)
    problems = outbox.send(file, wanted)
    return [*problems, *pings.of_status(status)]


def _is_due(file: StateFile) -> bool:
    looked = moment(file.state["looked_at"])
    now = moments.now()
    return looked is None or not now - EVERY < looked <= now
