"""How runs, steps and times are called in front of people. A state is always a mark and a word,
never a colour alone."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.timesince import timesince

from backup_tasks import moments
from backup_tasks.models import Run
from backup_tasks.storage.last_good import Candidate

KINDS: Mapping[str, str] = {
    Run.Kind.BACKUP: "Backup",
    Run.Kind.RESTORE: "Restore",
    Run.Kind.DRILL: "Restore drill",
    Run.Kind.CYCLE: "Full cycle",
    Run.Kind.REINIT: "Reset",
    Run.Kind.VERIFY: "Verification",
    Run.Kind.PRUNE: "Removal of old packages",
    Run.Kind.UNDO: "Undo",
}

STEPS: Mapping[str, str] = {
    "snapshot": "count every row at one moment",
    "dump": "write the rows",
    "pack": "pack rows and files, put the package into the store",
    "verify": "read the package back and check it",
    "admit": "put the uploaded package into the store",
    "fit": "look whether it could be restored here",
    "prune": "remove packages that are no longer to be kept",
    "fetch": "bring the package here and check it",
    "safety": "back up the live data before it is replaced",
    "reinit": "build an empty system beside the live one",
    "load": "load the package there",
    "validate": "prove that it equals the package",
    "promote": "put it in the place of the live data",
    "merge": "merge it into the live data",
    "rehearse": "find out what a merge would do",
    "discard": "throw the copy away",
    "undo": "bring back what was replaced",
}

STATES: Mapping[str, tuple[str, str]] = {
    "pending": ("○", "waiting"),
    "running": ("●", "running"),
    "succeeded": ("✓", "succeeded"),
    "failed": ("✗", "failed"),
    "cancelled": ("⊘", "cancelled"),
    "retrying": ("↻", "will be tried again"),
    "lost": ("!", "its worker is gone"),
    "stopping": ("⊘", "stopping"),
    "unfinished": ("–", "not finished"),
    "not-run": ("–", "not run"),
    "waiting": ("○", "waits for approval"),
    "approved": ("✓", "approved"),
    "refused": ("⊘", "refused"),
    "lapsed": ("–", "asked for too long ago"),
}
"""Mark and word of each state, also of those that only the pages tell apart."""


def badge(state: str) -> SafeString:
    """Return a state as a mark and a word; the colour comes from its CSS class."""
    mark, word = STATES[state]
    return format_html(
        '<span class="backup-state backup-{}"><span aria-hidden="true">{}</span> {}</span>',
        state,
        mark,
        word,
    )


def kind_of(run: Run) -> str:
    """Return what a run is, in words; a dry run is called one."""
    kind = KINDS.get(run.kind, run.kind)
    return f"{kind} (dry run)" if run.params.get("dry_run") else kind


def standing(candidate: Candidate) -> SafeString:
    """Return a package's standing as a mark and a word; the colour comes from its CSS class."""
    known = candidate.standing
    if not candidate.trusted:
        state, mark, word = "failed", "✗", "not trusted"
    elif known.failure:
        state, mark, word = "failed", "✗", "failed"
    elif known.proven:
        state, mark, word = "succeeded", "✓", "proven"
    elif known.verified_at:
        state, mark, word = "succeeded", "✓", "verified"
    else:
        state, mark, word = "pending", "○", "not read back"
    shown = format_html(
        '<span class="backup-state backup-{}"><span aria-hidden="true">{}</span> {}</span>',
        state,
        mark,
        word,
    )
    return format_html("{}, pinned", shown) if known.pinned else shown


def duration(since: datetime | None, until: datetime | None) -> str:
    """Return how long something took, or has taken until now: `3.2 s`, `4 min 10 s`, `2 h 05 min`;
    a dash where it has not begun."""
    if since is None:
        return "–"
    seconds = max(0.0, ((until or moments.now()) - since).total_seconds())
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02} s"
    return f"{minutes // 60} h {minutes % 60:02} min"


def ago(moment: datetime | None, never: str = "never") -> str:
    """Return how long ago a moment was, for example `3 hours ago`."""
    if moment is None:
        return never
    if moments.now() - moment < timedelta(minutes=1):
        return "just now"
    return f"{timesince(moment, depth=1)} ago"


def moment(when: datetime | None) -> str:
    """Return a moment in the time zone of the site, for example `2026-11-22 23:52`."""
    return date_format(timezone.localtime(when), "Y-m-d H:i") if when else "–"


def process(owner: str) -> str:
    """Return the owner of a claim as a person reads it: `worker-1, process 4711`."""
    host, _, rest = owner.partition(":")
    parts = rest.split(":")
    return f"{host}, process {parts[1]}" if len(parts) == 3 else owner


def counted(number: int | None) -> str:
    """Return a number of rows or files, a dash where nobody counted."""
    return "–" if number is None else f"{number:,}"
