"""Situations in which somebody asks whether the data is safe, and the right answer to each."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from backup_tasks.status.facts import (
    Disk,
    Ended,
    Facts,
    Failed,
    Good,
    Limits,
    Problem,
    RecoveryPoint,
)
from backup_tasks.status.light import Light

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
LIMITS = Limits()
MB = 10**6

GREEN, UNKNOWN, AMBER, RED = Light.GREEN, Light.UNKNOWN, Light.AMBER, Light.RED


def package(hours: float, *, proven: bool = True, name: str = "edms-1.tar.zst") -> Good:
    """A package that was made so many hours ago, and drilled half an hour later."""
    made = NOW - timedelta(hours=hours)
    proven_at = made + timedelta(minutes=30) if proven else None
    return Good(name=name, store="backups", created_at=made, proven_at=proven_at)


def point(
    good: Good | None, proven: Good | None = None, *, what: str = "rows and files"
) -> RecoveryPoint:
    """A recovery point; a good package that was proven is the proven one too."""
    proven = proven or (good if good and good.proven_at else None)
    return RecoveryPoint(what=what, good=good, proven=proven)


SAFE = Facts(
    now=NOW,
    points=[point(package(9))],
    orphans=[],
    beat_expected=True,
    beat_seen_at=NOW - timedelta(seconds=40),
    broker="",
    workers={"worker@host": ["backups", "celery"]},
    waiting={"celery": 0, "backups": 3},
    disks=[Disk(folder="/srv", free=900 * MB, needed=30 * MB)],
)


def but(**changes: Any) -> Facts:
    """All is well but for this."""
    return replace(SAFE, **changes)


@dataclass(frozen=True, kw_only=True)
class Situation:
    """What is known, the right light, and the reasons: names of conditions, with a word each."""

    facts: Facts
    light: Light
    reasons: tuple[tuple[str, str], ...] = ()


def aged(hours: float, **changes: Any) -> Facts:
    """The last backup was made so long ago."""
    return but(points=[point(package(hours))], **changes)


ENDED = Ended(run="drill-1", kind="drill", why="no space left", remedy="Free some space.")
BAD = Failed(name="edms-2.tar.zst", why="it failed a drill: a row differs", newer=True)

SITUATIONS: dict[str, Situation] = {
    "a night as it should be": Situation(facts=SAFE, light=GREEN),
    "a project of rows only": Situation(
        facts=but(points=[point(package(9), what="rows")]), light=GREEN
    ),
    "the drill of tonight's backup has not ended yet": Situation(
        facts=but(points=[point(package(0.1, proven=False), package(24))]), light=GREEN
    ),
    "orphans, workers and beat were not asked about": Situation(
        facts=Facts(now=NOW, points=SAFE.points), light=GREEN
    ),
    "nothing was looked at": Situation(
        facts=Facts(now=NOW), light=RED, reasons=(("no_good_backup", "rows and files"),)
    ),
    "a new system": Situation(
        facts=but(points=[point(None)]),
        light=RED,
        reasons=(("no_good_backup", "rows and files"),),
    ),
    "rows are backed up and files are not": Situation(
        facts=but(points=[point(package(1), what="rows"), point(None, what="files")]),
        light=RED,
        reasons=(("no_good_backup", "of the files"),),
    ),
    "29 hours and 59 minutes": Situation(facts=aged(29.98), light=GREEN),
    "30 hours": Situation(facts=aged(30), light=AMBER, reasons=(("backup_late", "30 hours"),)),
    "47 hours and 59 minutes": Situation(
        facts=aged(47.98), light=AMBER, reasons=(("backup_late", "47 hours"),)
    ),
    "48 hours": Situation(facts=aged(48), light=RED, reasons=(("backup_too_old", "48 hours"),)),
    "rows every hour, files of two days ago": Situation(
        facts=but(points=[point(package(1), what="rows"), point(package(50), what="files")]),
        light=RED,
        reasons=(("backup_too_old", "of the files is 50 hours old"),),
    ),
    "files every hour, rows of 31 hours ago": Situation(
        facts=but(points=[point(package(31), what="rows"), point(package(1), what="files")]),
        light=AMBER,
        reasons=(("backup_late", "of the rows is 31 hours old"),),
    ),
    "a project with wider limits": Situation(
        facts=aged(
            60,
            limits=Limits(
                warn_after=timedelta(days=8),
                critical_after=timedelta(days=15),
                proof_within=timedelta(days=30),
            ),
        ),
        light=GREEN,
    ),
    "one limit for both": Situation(
        facts=aged(40, limits=replace(LIMITS, critical_after=LIMITS.warn_after)),
        light=RED,
        reasons=(("backup_too_old", "40 hours"),),
    ),
    "nobody ever drilled": Situation(
        facts=but(points=[point(package(9, proven=False))]),
        light=AMBER,
        reasons=(("never_proven", "rows and files"),),
    ),
    "rows are drilled, files never": Situation(
        facts=but(
            points=[
                point(package(9), what="rows"),
                point(package(9, proven=False), what="files"),
            ]
        ),
        light=AMBER,
        reasons=(("never_proven", "of the files"),),
    ),
    "the newest proven backup is a week old": Situation(
        facts=but(points=[point(package(9, proven=False), package(24 * 7))]),
        light=AMBER,
        reasons=(("proof_too_old", "7 days"),),
    ),
    "a very old package was drilled today": Situation(
        facts=but(
            points=[
                point(
                    package(9, proven=False),
                    Good(
                        name="edms-0.tar.zst",
                        store="backups",
                        created_at=NOW - timedelta(days=90),
                        proven_at=NOW,
                    ),
                )
            ]
        ),
        light=AMBER,
        reasons=(("proof_too_old", "90 days"),),
    ),
    "the newest proven backup is almost a week old": Situation(
        facts=but(points=[point(package(9, proven=False), package(24 * 7 - 1))]), light=GREEN
    ),
    "tonight's package failed its drill": Situation(
        facts=but(failed=[BAD]),
        light=RED,
        reasons=(("newer_package_failed", "package edms-2.tar.zst, newer"),),
    ),
    "an old package is damaged": Situation(
        facts=but(failed=[replace(BAD, newer=False)]),
        light=AMBER,
        reasons=(("older_package_failed", "package edms-2.tar.zst failed"),),
    ),
    "the only package is damaged": Situation(
        facts=but(points=[point(None)], failed=[BAD]),
        light=RED,
        reasons=(("no_good_backup", "rows"), ("newer_package_failed", "edms-2")),
    ),
    "tonight's package lacks files": Situation(
        facts=but(passed_over=[Problem(obj="edms-3", what="it is incomplete", remedy="Look.")]),
        light=AMBER,
        reasons=(("newer_package_does_not_count", "package edms-3 does not count"),),
    ),
    "half a package": Situation(
        facts=but(broken=[Problem(obj="odd.json", what="odd.json is no sidecar")]),
        light=AMBER,
        reasons=(("sidecar_broken", "odd.json"),),
    ),
    "somebody deleted packages by hand": Situation(
        facts=but(gone=["a", "b", "c", "d", "e"]),
        light=AMBER,
        reasons=(("package_gone", "a, b, c, and 2 more"),),
    ),
    "the second store is away": Situation(
        facts=but(unread=[Problem(obj="offsite", what="it did not answer", remedy="Look.")]),
        light=AMBER,
        reasons=(("store_unread", "offsite"),),
    ),
    "the only store is away": Situation(
        facts=but(points=[point(None)], unread=[Problem(obj="backups", what="timeout")]),
        light=RED,
        reasons=(("no_good_backup", "rows and files"), ("store_unread", "timeout")),
    ),
    "the bucket was read an hour ago": Situation(
        facts=but(read_at=NOW - timedelta(hours=1)), light=GREEN
    ),
    "the bucket was not read for two days": Situation(
        facts=but(read_at=NOW - timedelta(hours=48)),
        light=UNKNOWN,
        reasons=(("stores_not_read_lately", "48 hours ago"),),
    ),
    "the database is down": Situation(
        facts=Facts(
            now=NOW,
            points=SAFE.points,
            recorded=False,
            unknown=[Problem(obj="the ledger", what="it does not answer")],
        ),
        light=UNKNOWN,
        reasons=(("not_asked", "the ledger"),),
    ),
    "the database is down, and the backup is old": Situation(
        facts=aged(72, recorded=False, unknown=[Problem(obj="the ledger", what="no answer")]),
        light=RED,
        reasons=(("backup_too_old", "72 hours"), ("not_asked", "no answer")),
    ),
    "tonight's drill failed": Situation(
        facts=but(ended=[ENDED]), light=AMBER, reasons=(("run_failed", "no space left"),)
    ),
    "somebody cancelled the night": Situation(
        facts=but(skipped=[replace(ENDED, kind="backup", why="cancelled by ada")]),
        light=AMBER,
        reasons=(("night_skipped", "by ada"),),
    ),
    "a worker died in a step": Situation(
        facts=but(stuck=["backup-1"]), light=AMBER, reasons=(("run_stuck", "run backup-1"),)
    ),
    "a restore died between rows and files": Situation(
        facts=but(half_done=["restore-1"]),
        light=RED,
        reasons=(("promote_unfinished", "restore-1"),),
    ),
    "the disk is full": Situation(
        facts=but(disks=[Disk(folder="/srv", free=29 * MB, needed=30 * MB)]),
        light=RED,
        reasons=(("disk_full", "the disk of /srv has 29.0 MB free"),),
    ),
    "one more backup fits": Situation(
        facts=but(disks=[Disk(folder="/srv", free=30 * MB, needed=30 * MB)]),
        light=AMBER,
        reasons=(("disk_filling", "room for 1 more"),),
    ),
    "three more backups fit": Situation(
        facts=but(disks=[Disk(folder="/srv", free=90 * MB, needed=30 * MB)]), light=GREEN
    ),
    "beat is stopped": Situation(
        facts=but(beat_seen_at=NOW - timedelta(minutes=10)),
        light=AMBER,
        reasons=(("beat_silent", "for 10 minutes"),),
    ),
    "beat was never started": Situation(
        facts=but(beat_seen_at=None), light=AMBER, reasons=(("beat_silent", "yet"),)
    ),
    "a schedule of the settings is not in beat's": Situation(
        facts=but(without_entry=["hourly"]),
        light=AMBER,
        reasons=(("schedule_without_entry", "'hourly'"),),
    ),
    "cron instead of beat": Situation(
        facts=but(beat_expected=False, beat_seen_at=None), light=GREEN
    ),
    "no worker answers": Situation(
        facts=but(workers={}), light=AMBER, reasons=(("no_worker", "no Celery worker answers"),)
    ),
    "a queue that no worker takes from": Situation(
        facts=but(workers={"worker@host": ["celery"]}),
        light=AMBER,
        reasons=(("no_worker", "the queue backups: 3 messages waiting"),),
    ),
    "each queue has a worker of its own": Situation(
        facts=but(workers={"a@host": ["celery"], "b@host": ["backups"]}), light=GREEN
    ),
    "the broker is away": Situation(
        facts=but(broker="connection refused", workers=None),
        light=AMBER,
        reasons=(("broker_unreachable", "connection refused"),),
    ),
    "staging was left behind": Situation(
        facts=but(orphans=["staging_1"]), light=AMBER, reasons=(("orphans_left", "staging_1"),)
    ),
    "several things at once, the worst first": Situation(
        facts=aged(50, ended=[ENDED], orphans=["x"], half_done=["restore-1"]),
        light=RED,
        reasons=(
            ("promote_unfinished", "restore-1"),
            ("backup_too_old", "50 hours"),
            ("run_failed", "drill-1"),
            ("orphans_left", "x"),
        ),
    ),
}
