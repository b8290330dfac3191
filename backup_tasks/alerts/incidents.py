"""Incidents: reasons of the light that last. Each is told once when it begins and once when it is
over.

Two reasons are the same incident if the same condition holds for the same object, whatever the
figures in their texts say.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple, TypedDict

from backup_tasks.status.light import Reason, Status


class Incident(TypedDict):
    """An incident, as the state file and messages hold it."""

    reason: str
    """Name of the condition."""
    about: str
    """The object, where the condition may hold for several."""
    status: str
    """warning, critical or unknown."""
    what: str
    remedy: str
    since: str
    """When it was first seen, in ISO 8601."""


class Change(NamedTuple):
    """What is different since the last look."""

    began: list[Incident]
    over: list[Incident]
    still: list[Incident]

    @property
    def open(self) -> list[Incident]:
        """Incidents that are there now, the worst first."""
        return [*self.began, *self.still]


def compare(before: Sequence[Incident], status: Status, now: datetime) -> Change:
    """Return what changed. An incident of a condition that nobody could look at goes on."""
    known = {_key(incident): incident for incident in before}
    found: dict[tuple[str, str], Incident] = {}
    for reason in status.reasons:
        first = known.get((reason.name, reason.about))
        since = first["since"] if first else now.isoformat()
        found.setdefault((reason.name, reason.about), _incident(reason, since))
    unseen = [incident for key, incident in known.items() if key not in found]
    over = [incident for incident in unseen if incident["reason"] not in status.unasked]
    return Change(
        began=[incident for key, incident in found.items() if key not in known],
        over=over,
        still=[
            *(incident for key, incident in found.items() if key in known),
            *(incident for incident in unseen if incident not in over),
        ],
    )


def _key(incident: Incident) -> tuple[str, str]:
    return incident["reason"], incident["about"]


def _incident(reason: Reason, since: str) -> Incident:
    return Incident(
        reason=reason.name,
        about=reason.about,
        status=reason.light.word.lower(),
        what=reason.what,
        remedy=reason.remedy,
        since=since,
    )
