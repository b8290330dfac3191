"""What is known at one moment: plain values, from which `light.judge` makes the light."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How old things may be, see the settings of these names."""

    warn_after: timedelta = timedelta(hours=30)
    critical_after: timedelta = timedelta(hours=48)
    proof_within: timedelta = timedelta(days=7)


@dataclass(frozen=True, kw_only=True)
class Good:
    """A package that counts, and is in a store."""

    name: str
    store: str
    created_at: datetime
    proven_at: datetime | None = None
    """When it was last restored and found equal; None where it was not, or has failed since."""


@dataclass(frozen=True, kw_only=True)
class RecoveryPoint:
    """What would be restored: the rows, the files, or both where one package holds both."""

    what: str
    """`rows`, `files`, or `rows and files`."""
    good: Good | None = None
    """The newest package that counts and holds it."""
    proven: Good | None = None
    """The newest one of these that was restored and found equal."""


@dataclass(frozen=True, kw_only=True)
class Failed:
    """A package of this project that failed a test, and has passed none since."""

    name: str
    why: str
    newer: bool
    """Made later than the last good backup, or there is none."""


@dataclass(frozen=True, kw_only=True)
class Problem:
    """Something wrong with an object, and what to do about it."""

    obj: str
    what: str
    remedy: str = ""


@dataclass(frozen=True, kw_only=True)
class Ended:
    """A run that ended without success."""

    run: str
    kind: str
    why: str
    remedy: str = ""


@dataclass(frozen=True, kw_only=True)
class Disk:
    """A disk of this machine that backups are written to."""

    folder: str
    free: int
    """Bytes."""
    needed: int
    """Bytes that the next backup writes there, if it is as large as the last good one."""


@dataclass(frozen=True, kw_only=True)
class Facts:
    """All that the light depends on. What nobody looked at is empty or None."""

    now: datetime
    limits: Limits = Limits()
    points: Sequence[RecoveryPoint] = ()
    """Of the rows and of the files, or one of both. Empty: nobody looked."""
    failed: Sequence[Failed] = ()
    passed_over: Sequence[Problem] = ()
    """Packages newer than the last good backup that do not count, and should."""
    broken: Sequence[Problem] = ()
    """Sidecars that can't be read, or whose package is missing or of another size."""
    gone: Sequence[str] = ()
    """Packages of the index that are not in their store."""
    unread: Sequence[Problem] = ()
    """Stores that could not be read."""
    read_at: datetime | None = None
    """When the stores that the facts come from were read; the one that was read first counts."""
    recorded: bool = True
    """The ledger could be asked."""
    unknown: Sequence[Problem] = ()
    """What could not be asked, such as the ledger."""
    ended: Sequence[Ended] = ()
    """Of each kind the last run, if it failed and no proof is newer."""
    skipped: Sequence[Ended] = ()
    """Scheduled runs that were cancelled or skipped after the last good backup."""
    stuck: Sequence[str] = ()
    """Active runs that nobody works on."""
    half_done: Sequence[str] = ()
    """Runs that replaced a part of live: not yet each database, or not all files."""
    disks: Sequence[Disk] = ()
    orphans: Sequence[str] | None = None
    """Staging, files and workspaces that ended runs left; None: nobody looked."""
    beat_expected: bool = False
    """The schedule has the reconciler, and its results are recorded."""
    beat_seen_at: datetime | None = None
    """When beat and a worker last did something together: the reconciler's last result."""
    without_entry: Sequence[str] = ()
    """Schedules of the settings that beat, which has others of this app, never starts."""
    broker: str | None = None
    """Why the broker can't be reached; empty where it answers; None: nobody asked."""
    workers: Mapping[str, Collection[str]] | None = None
    """The queues that each worker that answered takes from; None: nobody could ask."""
    waiting: Mapping[str, int] = field(default_factory=dict)
    """Messages in each queue that needs a worker."""
