"""What a change says: one record, which webhooks get as JSON, and its text for people."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TypedDict

from backup_tasks.alerts.incidents import Change, Incident
from backup_tasks.conf import backup_settings
from backup_tasks.status.light import Status

_SUBJECT_LIMIT = 160


class Message(TypedDict):
    """One alert. Webhooks send it as it is; docs/reference/json.md has its keys."""

    id: str
    """The same whenever this message is sent again."""
    at: str
    """ISO 8601."""
    project: str
    host: str
    """Where this was noticed."""
    status: str
    """The light now: ok, warning, critical or unknown."""
    began: list[Incident]
    over: list[Incident]
    still: list[Incident]


def message_of(change: Change, status: Status, now: datetime) -> Message:
    """Return the message that tells a change."""
    return Message(
        id=f"msg_{secrets.token_hex(12)}",
        at=now.isoformat(),
        project=backup_settings().project,
        host=socket.gethostname(),
        status=status.light.word.lower(),
        began=change.began,
        over=change.over,
        still=change.still,
    )


def subject(message: Message) -> str:
    """Return one line: the light, and what is new or over."""
    word = message["status"].upper()
    if message["began"]:
        what = _with_more([each["what"] for each in message["began"]])
    elif message["still"]:
        what = "over: " + _with_more([each["what"] for each in message["over"]])
    else:
        what = "all is well again"
    line = " ".join(f"[{message['project']}] BACKUP {word}: {what}".split())
    return line if len(line) <= _SUBJECT_LIMIT else f"{line[: _SUBJECT_LIMIT - 1]}…"


def text(message: Message) -> str:
    """Return what a person reads: what is new, what is over, what is still so."""
    return "\n".join(_lines(message))


def _lines(message: Message) -> Iterator[str]:
    for title, incidents in (
        ("New", message["began"]),
        ("Over", message["over"]),
        ("Still so", message["still"]),
    ):
        if incidents:
            yield f"{title}:"
            for each in incidents:
                yield f"- {each['status'].upper()}: {each['what']}"
                if each["remedy"] and title != "Over":
                    yield f"    What to do: {each['remedy']}"
                if title != "New":
                    yield f"    Since {each['since'][:16].replace('T', ' ')} UTC"
            yield ""
    if not (message["began"] or message["still"]):
        yield "All is well again."
    yield f"Seen on {message['host']} at {message['at'][:16].replace('T', ' ')} UTC."
    yield "`backup_status` says how things are now."


def _with_more(texts: Sequence[str]) -> str:
    more = f" (and {len(texts) - 1} more)" if len(texts) > 1 else ""
    return f"{texts[0]}{more}"
