"""How commands show a package's standing: its verdicts, its pin, and whether it counts."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

from backup_tasks.storage import last_good
from backup_tasks.storage.last_good import Candidate


def standing_text(candidate: Candidate) -> str:
    """Return the standing in a few words, what is wrong first."""
    standing = candidate.standing
    if not candidate.trusted:
        word = "NOT TRUSTED"
    elif candidate.incomplete:
        word = "INCOMPLETE"
    elif standing.failure:
        word = "FAILED"
    elif standing.proven:
        word = "proven"
    else:
        word = "verified" if standing.verified_at else "not read back"
    return f"{word}, pinned" if standing.pinned else word


def standing_record(candidate: Candidate) -> dict[str, Any]:
    """Return what `list_packages --json` says of it."""
    standing = candidate.standing
    failure = standing.failure
    return {
        "standing": standing_text(candidate),
        "trusted": candidate.trusted,
        "installation": candidate.installation or None,
        "verified_at": standing.verified_at,
        "drilled_at": standing.drilled_at,
        "failure": failure
        and {"test": failure.test, "at": failure.at, "run": failure.run, "why": failure.why},
        "pinned": standing.pinned,
        "unfit": candidate.unfit() or None,
    }


Own = Collection[str] | None
"""Ids of this installation; None: the ledger is asked for them."""


def last_record(candidates: Sequence[Candidate], own: Own = None) -> dict[str, Any]:
    """Return the last good and the last proven package, for monitoring; null where there is
    none."""
    return {
        "last_good": _brief(last_good.newest(candidates, own=own)),
        "last_proven": _brief(last_good.last_proven(candidates, own=own)),
    }


def standing_lines(
    candidates: Sequence[Candidate], warn: Callable[[str], str], own: Own = None
) -> Iterator[str]:
    """Yield, below the table, a line for each package that failed, and which ones are the last
    good and the last proven. `warn` makes a line red on a terminal that can."""
    for each in candidates:
        if failure := each.standing.failure:
            by = f" ({failure.run})" if failure.run else ""
            yield warn(f"✗ {each.name}: {each.failing()}{by}: {failure.why}")
    if candidates:
        for title, chosen in (
            ("Last good backup", last_good.newest(candidates, own=own)),
            ("Last proven by a restore or a drill", last_good.last_proven(candidates, own=own)),
        ):
            yield f"{title}: {chosen.name}" if chosen else warn(f"{title}: none")


def _brief(candidate: Candidate | None) -> dict[str, Any] | None:
    if candidate is None:
        return None
    return {
        "name": candidate.name,
        "store": candidate.store,
        "created_at": candidate.created_at,
        "sha256": candidate.sha256,
        "drilled_at": candidate.standing.drilled_at,
    }
