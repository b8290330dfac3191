"""What makes the light red, amber or unknown.

Each condition is one function of the facts, which yields what is wrong and what to do about it.
`docs/how-to/know-whether-my-data-is-safe.md` lists them by name.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from backup_tasks.status.facts import Facts, RecoveryPoint
from backup_tasks.status.light import Condition, Finding, Light, Status
from backup_tasks.status.light import judge as judge_by
from backup_tasks.storage.disk_space import in_words

SILENT_AFTER = timedelta(minutes=10)
"""The reconciler runs every minute."""

FILLING_AT = 3
"""A disk that has room for fewer backups than that is filling."""

_NAMED = 3
"""Objects that a reason names."""


def no_good_backup(facts: Facts) -> Iterator[Finding]:
    """No package in a store counts."""
    for point in facts.points or [RecoveryPoint(what="rows and files")]:
        if point.good is None:
            yield Finding(
                f"no good backup of the {point.what} is known",
                "`create_backup` makes one; `list_packages` says why the packages that there are "
                "do not count.",
                about=point.what,
            )


def backup_too_old(facts: Facts) -> Iterator[Finding]:
    """The last good backup is older than CRITICAL_AFTER."""
    for point in facts.points:
        if point.good and _age(facts, point.good.created_at) >= facts.limits.critical_after:
            yield _old(facts, point.what, point.good.created_at, facts.limits.critical_after)


def backup_late(facts: Facts) -> Iterator[Finding]:
    """The last good backup is older than WARN_AFTER."""
    limits = facts.limits
    for point in facts.points:
        if point.good and limits.warn_after <= _age(facts, point.good.created_at) < max(
            limits.critical_after, limits.warn_after
        ):
            yield _old(facts, point.what, point.good.created_at, limits.warn_after)


def never_proven(facts: Facts) -> Iterator[Finding]:
    """There is a good backup, and none was ever restored and found equal."""
    for point in facts.points:
        if point.good and point.proven is None:
            yield Finding(
                f"no backup of the {point.what} was proven by a restore or a drill",
                "`drill_restore` restores the last good one beside live and compares it.",
                about=point.what,
            )


def proof_too_old(facts: Facts) -> Iterator[Finding]:
    """The newest package that was proven is older than PROOF_WITHIN."""
    limit = facts.limits.proof_within
    for point in facts.points:
        if point.proven and _age(facts, point.proven.created_at) >= limit:
            age = age_text(_age(facts, point.proven.created_at))
            yield Finding(
                f"the newest proven backup of the {point.what} is {age} old, and the limit is "
                f"{age_text(limit)}: {point.proven.name}",
                "`drill_restore` proves the last good one. `runs` says why drills failed.",
                about=point.what,
            )


def newer_package_failed(facts: Facts) -> Iterator[Finding]:
    """A package that is newer than the last good one failed a test."""
    for each in facts.failed:
        if each.newer:
            yield Finding(
                f"package {each.name}, newer than the last good backup, failed: {each.why}",
                "Find out why, then make a new one: `create_backup`, `drill_restore`.",
                about=each.name,
            )


def older_package_failed(facts: Facts) -> Iterator[Finding]:
    """A package failed a test; the last good one is newer."""
    for each in facts.failed:
        if not each.newer:
            yield Finding(
                f"package {each.name} failed: {each.why}",
                f"Do not count on it. `verify_package {each.name}` or `drill_restore {each.name}` "
                "clears it, if it is sound after all. Look for the cause: other packages of that "
                "store may be damaged too.",
                about=each.name,
            )


def newer_package_does_not_count(facts: Facts) -> Iterator[Finding]:
    """A package newer than the last good one is incomplete, not trusted, or dated in the future."""
    for each in facts.passed_over:
        what = f"package {each.obj} does not count: {each.what}"
        yield Finding(what, each.remedy, about=each.obj)


def sidecar_broken(facts: Facts) -> Iterator[Finding]:
    """Something in a store is no package to count on."""
    if facts.broken:
        yield Finding(
            f"broken in the stores: {_some([each.what for each in facts.broken])}",
            facts.broken[0].remedy or "`list_packages` lists them.",
        )


def package_gone(facts: Facts) -> Iterator[Finding]:
    """The index knows a package that its store no longer holds."""
    if facts.gone:
        yield Finding(
            f"not in their store any more: {_some(facts.gone)}",
            "Something other than `prune_packages` removed them, or a disk is not mounted. Find "
            "out what; `list_packages` then makes the index say what is there.",
        )


def store_unread(facts: Facts) -> Iterator[Finding]:
    """A store can't be read: nothing can be restored from it now."""
    for each in facts.unread:
        yield Finding(
            f"the store {each.obj} can't be read: {each.what}", each.remedy, about=each.obj
        )


def stores_not_read_lately(facts: Facts) -> Iterator[Finding]:
    """Whether the packages are still there is not known."""
    limit = facts.limits.warn_after
    if facts.read_at is not None and _age(facts, facts.read_at) >= limit:
        yield Finding(
            f"a store was last read {age_text(_age(facts, facts.read_at))} ago, so whether its "
            "packages are still there is not known",
            "*Refresh from the stores* on the page of packages, or `list_packages`, reads it.",
        )


def not_asked(facts: Facts) -> Iterator[Finding]:
    """Something could not be asked: the ledger, the orphans, the broker."""
    for each in facts.unknown:
        yield Finding(f"{each.obj}: not known, {each.what}", each.remedy, about=each.obj)


def run_failed(facts: Facts) -> Iterator[Finding]:
    """The last run of a kind failed, and no proof is newer."""
    for each in facts.ended:
        yield Finding(
            f"the last {each.kind} failed ({each.run}): {each.why}",
            each.remedy or f"Remove the cause, then `resume_run {each.run}`, or start a new one.",
            about=each.kind,
        )


def night_skipped(facts: Facts) -> Iterator[Finding]:
    """A scheduled run was cancelled or skipped after the last good backup."""
    for each in facts.skipped:
        yield Finding(
            f"a scheduled {each.kind} was cancelled ({each.run}): {each.why}",
            each.remedy or "`create_backup` makes the backup that is missing.",
            about=each.run,
        )


def run_stuck(facts: Facts) -> Iterator[Finding]:
    """A run is active, and nobody works on it."""
    for run in facts.stuck:
        yield Finding(
            f"run {run} is active, and nobody works on it",
            f"Start the workers. Without them: `resume_run {run}`, or `cancel_run {run}`.",
            about=run,
        )


def promote_unfinished(facts: Facts) -> Iterator[Finding]:
    """A run replaced a part of live: not yet each database, or not all files."""
    for run in facts.half_done:
        yield Finding(
            f"run {run} replaced a part of live: not yet all files, or not each database",
            f"`resume_run {run}` finishes it.",
            about=run,
        )


def disk_full(facts: Facts) -> Iterator[Finding]:
    """The next backup does not fit on a disk."""
    for disk in facts.disks:
        if disk.free < disk.needed:
            yield Finding(
                f"the disk of {disk.folder} has {in_words(disk.free)} free, and a backup like the "
                f"last one needs {in_words(disk.needed)}",
                "Free some space there, or keep fewer packages: RETENTION.",
                about=disk.folder,
            )


def disk_filling(facts: Facts) -> Iterator[Finding]:
    """A disk has room for fewer than three backups."""
    for disk in facts.disks:
        if disk.needed <= disk.free < FILLING_AT * disk.needed:
            yield Finding(
                f"the disk of {disk.folder} has {in_words(disk.free)} free: room for "
                f"{disk.free // disk.needed} more like the last backup",
                "Free some space there, or keep fewer packages: RETENTION.",
                about=disk.folder,
            )


def beat_silent(facts: Facts) -> Iterator[Finding]:
    """The reconciler, which beat starts every minute, has not run for ten."""
    seen = facts.beat_seen_at
    if facts.beat_expected and (seen is None or _age(facts, seen) >= SILENT_AFTER):
        since = f"for {age_text(_age(facts, seen))}" if seen else "yet"
        yield Finding(
            f"beat and workers have done nothing {since}: no scheduled backup will start",
            "Start beat, the broker, and a worker for the queue `celery`.",
        )


def schedule_without_entry(facts: Facts) -> Iterator[Finding]:
    """Beat has no entry for a schedule of the settings."""
    for name in facts.without_entry:
        yield Finding(
            f"the schedule {name!r} is in the settings, and beat never starts it",
            'Make beat\'s entries of them: beat_schedule = entries(BACKUP["SCHEDULES"]), of '
            "backup_tasks.celery_defaults.beat; then restart beat. Or enable its row of "
            "django-celery-beat.",
            about=name,
        )


def broker_unreachable(facts: Facts) -> Iterator[Finding]:
    """The broker does not answer: nothing is started by beat or the admin."""
    if facts.broker:
        yield Finding(
            f"the broker can't be reached: {facts.broker}",
            "Start the broker. Without it, commands do the same: `create_backup`.",
        )


def no_worker(facts: Facts) -> Iterator[Finding]:
    """No worker answered, or none that takes from one of the queues."""
    if facts.workers is None:
        return
    if not facts.workers:
        yield Finding("no Celery worker answers", "Start the workers.")
        return
    for queue, waiting in facts.waiting.items():
        if not any(queue in taken for taken in facts.workers.values()):
            yield Finding(
                f"no worker takes from the queue {queue}: {_counted(waiting, 'message')} waiting",
                f"Start a worker with `-Q {queue}`.",
                about=queue,
            )


def orphans_left(facts: Facts) -> Iterator[Finding]:
    """Ended runs left staging, files or workspaces."""
    if facts.orphans:
        yield Finding(
            f"left behind by runs that have ended: {_some(facts.orphans)}",
            "`prune_packages` removes orphans, and says which ones it can't remove.",
        )


def _recorded(facts: Facts) -> bool:
    """The ledger, and the index of packages, could be asked."""
    return facts.recorded


def _all_read(facts: Facts) -> bool:
    """What is known of every package could be read."""
    return facts.recorded and not facts.unread


CONDITIONS = (
    Condition(light=Light.RED, find=promote_unfinished, asked=_recorded),
    Condition(light=Light.RED, find=no_good_backup),
    Condition(light=Light.RED, find=backup_too_old),
    Condition(light=Light.RED, find=newer_package_failed, asked=_all_read),
    Condition(light=Light.RED, find=disk_full),
    Condition(light=Light.AMBER, find=backup_late),
    Condition(light=Light.AMBER, find=never_proven),
    Condition(light=Light.AMBER, find=proof_too_old),
    Condition(light=Light.AMBER, find=store_unread),
    Condition(light=Light.AMBER, find=run_failed, asked=_recorded),
    Condition(light=Light.AMBER, find=night_skipped, asked=_recorded),
    Condition(light=Light.AMBER, find=run_stuck, asked=_recorded),
    Condition(light=Light.AMBER, find=beat_silent, asked=_recorded),
    Condition(light=Light.AMBER, find=schedule_without_entry),
    Condition(
        light=Light.AMBER, find=broker_unreachable, asked=lambda facts: facts.broker is not None
    ),
    Condition(light=Light.AMBER, find=no_worker, asked=lambda facts: facts.workers is not None),
    Condition(light=Light.AMBER, find=newer_package_does_not_count, asked=_all_read),
    Condition(light=Light.AMBER, find=older_package_failed, asked=_all_read),
    Condition(light=Light.AMBER, find=package_gone, asked=_recorded),
    Condition(light=Light.AMBER, find=sidecar_broken, asked=_all_read),
    Condition(light=Light.AMBER, find=disk_filling),
    Condition(light=Light.AMBER, find=orphans_left, asked=lambda facts: facts.orphans is not None),
    Condition(light=Light.UNKNOWN, find=stores_not_read_lately),
    Condition(light=Light.UNKNOWN, find=not_asked),
)


def judge(facts: Facts, conditions: Sequence[Condition] = CONDITIONS) -> Status:
    """Return the light that the facts give."""
    return judge_by(facts, conditions)


def age_text(age: timedelta) -> str:
    """Return an age in minutes, hours or days, for example `31 hours`."""
    seconds = max(0, int(age.total_seconds()))
    for unit, length, up_to in (("minute", 60, 2 * 3600), ("hour", 3600, 4 * 86400)):
        if seconds < up_to:
            return _counted(seconds // length, unit)
    return _counted(seconds // 86400, "day")


def _counted(number: int, unit: str) -> str:
    return f"{number} {unit}" if number == 1 else f"{number} {unit}s"


def _age(facts: Facts, since: datetime) -> timedelta:
    return facts.now - since


def _old(facts: Facts, what: str, created_at: datetime, limit: timedelta) -> Finding:
    age = age_text(_age(facts, created_at))
    return Finding(
        f"the last good backup of the {what} is {age} old, and the limit is {age_text(limit)}",
        "`runs` says what became of the last ones; `create_backup` makes one now.",
        about=what,
    )


def _some(names: Sequence[str]) -> str:
    more = f", and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
