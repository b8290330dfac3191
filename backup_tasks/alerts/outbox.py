"""Sends what is in the outbox, and tries again what could not be sent.

An attempt is written down before it is made. So a process that is killed while it sends leaves a
message that is sent again, under the same id: rather twice than never.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime, timedelta

from backup_tasks import moments
from backup_tasks.alerts.channels import Channel
from backup_tasks.alerts.message import Message
from backup_tasks.alerts.state import Sending, State, StateFile, moment
from backup_tasks.errors import BackupError, StorageRefused

logger = logging.getLogger(__name__)

FIRST_PAUSE = timedelta(minutes=1)
LONGEST_PAUSE = timedelta(hours=1)
GIVEN_UP_AFTER = timedelta(days=3)


def put(state: State, message: Message, channels: Mapping[str, Channel]) -> None:
    """Put a message into the outbox, for each channel."""
    state["outbox"] += [
        Sending(message=message, channel=key, tries=0, next_at=message["at"]) for key in channels
    ]


def is_due(state: State, now: datetime) -> bool:
    """Whether something is to be sent now."""
    return any(_is_due(sending, now) for sending in state["outbox"])


def send(file: StateFile, channels: Mapping[str, Channel]) -> list[str]:
    """Send what is due; return what could not be sent or written down, in words.

    A channel that has failed in this call is not tried again in it: its messages stay in order.
    """
    problems: dict[str, str] = {}
    now = moments.now()
    for sending in list(file.state["outbox"]):
        key = sending["channel"]
        if key not in channels:  # the settings no longer have it
            file.state["outbox"].remove(sending)
        elif key not in problems and _is_due(sending, now):
            problem = _send(file, sending, channels[key], now)
            if problem:
                problems[key] = f"{key}: {problem}"
    if told := _saved(file):
        problems["state"] = told
    return list(problems.values())


def _send(file: StateFile, sending: Sending, channel: Channel, now: datetime) -> str:
    message = sending["message"]
    sending["tries"] += 1
    pause = min(FIRST_PAUSE * 2 ** min(sending["tries"] - 1, 10), LONGEST_PAUSE)
    sending["next_at"] = (now + pause).isoformat()
    _saved(file)  # `send` reports a disk that takes nothing; the message goes out all the same
    try:
        channel(message)
    except BackupError as error:  # of any kind: the other channels are still to be tried
        logger.warning("%s was not sent by %s: %s", message["id"], sending["channel"], error)
        if now - datetime.fromisoformat(message["at"]) > GIVEN_UP_AFTER:
            logger.error("%s is given up: %s", message["id"], message)
            file.state["outbox"].remove(sending)
        return str(error)
    file.state["outbox"].remove(sending)
    return ""


def _saved(file: StateFile) -> str:
    try:
        file.save()
    except StorageRefused as error:
        logger.warning("%s", error)
        return str(error)
    return ""


def _is_due(sending: Sending, now: datetime) -> bool:
    due = moment(sending["next_at"])
    return due is None or due <= now or due > now + LONGEST_PAUSE  # a clock that was set back
