"""Pings to a monitor that raises an alarm where one does not come: a dead man's switch.

The form is that of Healthchecks (https://healthchecks.io/docs/http_api/): a POST to URL/start, URL
or URL/fail, `rid` naming the run. A ping is sent by the process that works on the run. If that dies
there is none, which is what the monitor waits for; so nothing remembers or repeats it later.
"""

from __future__ import annotations

import logging
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from uuid import NAMESPACE_URL, uuid5

from backup_tasks.alerts.http import ADDRESS_HINT, post
from backup_tasks.conf import backup_settings
from backup_tasks.errors import Transient, of_record
from backup_tasks.models import Run
from backup_tasks.signals import run_ended, run_started
from backup_tasks.status.light import Light, Status

logger = logging.getLogger(__name__)

STATUS = "status"
"""Key of PINGS for the light itself."""
KINDS = (*(kind.value for kind in Run.Kind), STATUS)
"""Keys of PINGS."""

_SECONDS = 5.0
_TRIES = 2
_TEXT_LIMIT = 10_000
"""Bytes of a text that Healthchecks keeps."""


def connect() -> None:
    """Ping whenever a run begins or ends; called once, when the app is ready."""
    run_started.connect(_started, dispatch_uid="backup_tasks.alerts.pings")
    run_ended.connect(_ended, dispatch_uid="backup_tasks.alerts.pings")


def of_status(status: Status) -> list[str]:
    """Ping that somebody looked, as a failure while the light is critical; return what went wrong,
    in words."""
    reasons = "\n".join(f"{each.light.word}: {each.what}" for each in status.reasons)
    failed = status.light is Light.RED
    problem = _ping(STATUS, "/fail" if failed else "", reasons or status.light.word)
    return [problem] if problem else []


def _started(run: Run, **_: Any) -> None:
    _ping(run.kind, "/start", run.pk, run=run)


def _ended(run: Run, **_: Any) -> None:
    if run.state == Run.State.SUCCEEDED:
        _ping(run.kind, "", f"{run.pk} {run.package}".strip(), run=run)
    else:
        _ping(run.kind, "/fail", f"{run.pk} {run.state}: {of_record(run.error)}", run=run)


def _ping(key: str, path: str, text: str, *, run: Run | None = None) -> str:
    url = backup_settings().pings.get(key, "")
    if not url:
        return ""
    problem = ""
    for _ in range(_TRIES):
        try:
            body = text.encode(errors="replace")[:_TEXT_LIMIT]
            post(_address(url, path, run), body, {"content-type": "text/plain"}, seconds=_SECONDS)
        except Transient as error:
            problem = f"ping of {key}: {error}"
            continue
        return ""
    logger.warning("%s", problem)
    return problem


def _address(url: str, path: str, run: Run | None) -> str:
    """Raises Transient."""
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise Transient("the address is none", obj="PINGS", hint=ADDRESS_HINT) from error
    query = f"rid={uuid5(NAMESPACE_URL, run.pk)}" if run else ""
    query = "&".join(filter(None, (parts.query, query)))
    return urlunsplit(parts._replace(path=parts.path.rstrip("/") + path, query=query))
