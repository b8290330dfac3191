"""The chains: which steps a run has, and in which order. It is written nowhere else.

A run is started here, in the ledger; then the tasks or a command execute its steps.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

from backup_tasks import cleanup, ledger, moments
from backup_tasks.conf import backup_settings
from backup_tasks.engines import engine_for, require_database
from backup_tasks.errors import Misconfigured
from backup_tasks.evidence import audit
from backup_tasks.ledger.replaced import runs_in_doubt
from backup_tasks.merge.policy import MISSING_USERS, ON_CONFLICT
from backup_tasks.models import Run
from backup_tasks.restore import one_database
from backup_tasks.restore.unapplied import refuse_unapplied
from backup_tasks.rows.databases import each_database

CHAINS: Mapping[str, tuple[str, ...]] = {
    Run.Kind.BACKUP: ("snapshot", "dump", "pack", "verify", "fit", "prune"),
    Run.Kind.RESTORE: (
        *("fetch", "snapshot", "safety", "reinit", "load", "validate"),
        *("promote", "merge", "rehearse"),  # the run has one of the three, see `steps_of`
    ),
    Run.Kind.DRILL: ("fetch", "reinit", "load", "validate", "discard"),
    Run.Kind.CYCLE: (
        *("snapshot", "dump", "pack", "verify", "reinit", "load", "validate"),
        *("promote", "discard"),  # the run has one of the two, see `steps_of`
    ),
    Run.Kind.REINIT: ("safety", "reinit", "validate", "promote"),
    Run.Kind.VERIFY: ("verify", "admit"),  # the latter of an upload
    Run.Kind.PRUNE: ("prune",),
    Run.Kind.UNDO: ("undo",),
}

WRITES_LIVE = frozenset({"promote", "merge", "undo"})
_STORE_ONLY = frozenset({Run.Kind.VERIFY, Run.Kind.PRUNE})
"""Runs that neither read nor write live."""

_READS_LIVE = frozenset({Run.Kind.BACKUP, Run.Kind.RESTORE, Run.Kind.CYCLE, Run.Kind.REINIT})
"""Runs that read the tables of live by the models of this code."""

_MAKES = {
    "type": "full",
    "output": "",
    "label": "",
    "compress": None,
    "encrypt": None,
    "include_users": True,
    "accept_missing_files": False,
}
_SELECTION: Mapping[str, Any] = {"include": [], "exclude": []}
_READS = {"package": "", "store": "", "identity": "", "allow_unsigned": False}

PARAMS: Mapping[str, Mapping[str, Any]] = {
    Run.Kind.BACKUP: {**_MAKES, **_SELECTION, "then": ""},
    Run.Kind.RESTORE: {
        **_READS,
        **_SELECTION,
        "objects": [],
        "type": "full",
        "database": "",
        "replace_referenced": False,
        "mode": "exact",
        "safety": True,
        "promote": True,
        "rebuild": False,
        "republish": False,
        "on_conflict": "",
        "map_users": {},
        "missing_users": "",
    },
    Run.Kind.DRILL: {
        **_READS,
        "type": "full",
        "mode": "exact",
        "promote": False,
        "rebuild": False,
    },
    Run.Kind.CYCLE: {
        **_MAKES,
        **_READS,
        "mode": "exact",
        "promote": False,
        "rebuild": False,
        "republish": False,
    },
    Run.Kind.REINIT: {"safety": True, "promote": True, "rebuild": False, "republish": False},
    Run.Kind.VERIFY: {**_READS, "admit": False},
    Run.Kind.PRUNE: {"dry_run": False},
    Run.Kind.UNDO: {
        "accept_missing_files": False,
        "accept_lost_structure": False,
        "republish": False,
    },
}
"""What can be asked for, by kind of run, with the defaults.

type            full, database, files or export
database        with type database: the alias of the one database that is restored; "" for all
output          absolute path of the package, "" for the store
label           goes into the package's name; "" for the project's
compress        zstd, gzip or none; None: what the name of the output says, else zstd
encrypt         True, False, or None: encrypt where there are recipients
include         app labels or app.Model: these and what they need; none: all
exclude         app labels or app.Model: all but these
objects         a merge: app.Model=KEY, single objects by natural key, and what they need; none: all
replace_referenced  with include: models that the rows only refer to are replaced, too
include_users   False leaves users and what hangs on them out
accept_missing_files  a package that lacks files which it should hold is no failure; an undo brings
                back the rows where files that were kept for it are gone
accept_lost_structure  an undo goes on though live's tables have been changed in structure since
then            "drill": a backup that succeeded is followed by a drill of what it made
package         name in the store or absolute path; "" for the newest
store           alias of the store to look for it in; "" for all
identity        path of a file with an age identity; never a key
allow_unsigned  accept a package whose signature is missing
mode            exact: live becomes the package; merge: the package's rows go into live's tables
admit           an uploaded package: once it is verified, it is put into the store
rebuild         the tables are built by the migrations, and lose what was added to live's by hand
republish       publications name the new tables, and subscribers have to copy them again
on_conflict     a merge: package or target, whose row is taken; "" refuses
map_users       a merge: {user of the package: user of the target}, by natural key
missing_users   a merge: null or placeholder, for users that nobody has; "" refuses
safety          back live up before it is replaced
promote         True puts staging in live's place, or merges it; False discards it
dry_run         say what would be removed, remove nothing
"""

_CHOICES: Mapping[str, tuple[str, ...]] = {
    "type": ("full", "database", "files", "export"),
    "compress": ("zstd", "gzip", "none"),
    "mode": ("exact", "merge"),
    "on_conflict": ("", *ON_CONFLICT),
    "missing_users": ("", *MISSING_USERS),
    "then": ("", "drill"),
}
_KINDS: Mapping[str, tuple[type, ...]] = {
    "encrypt": (bool, type(None)),
    "compress": (str, type(None)),
}
"""Of values whose default does not say it."""


def steps_of(kind: str, params: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the steps of a run: its chain without what the parameters leave out."""
    left_out = set()
    if params.get("safety") is False:
        left_out.add("safety")
    if not params.get("admit"):
        left_out.add("admit")
    chain = set(CHAINS[kind])
    if {"promote", "discard"} <= chain:
        left_out.add("discard" if params["promote"] else "promote")
    if "merge" in chain:
        merging = "merge" if params["promote"] else "rehearse"
        end = merging if params["mode"] == "merge" else "promote"
        left_out |= {"promote", "merge", "rehearse"} - {end}
    return tuple(step for step in CHAINS[kind] if step not in left_out)


def writes_live(kind: str, params: Mapping[str, Any]) -> bool:
    """Whether a run that is asked for this replaces live data, if it gets that far."""
    return not WRITES_LIVE.isdisjoint(steps_of(kind, {**PARAMS[kind], **params}))


def start(
    kind: str,
    *,
    trigger: str,
    requested_by: str = "",
    on_workers: bool = False,
    params: Mapping[str, Any] | None = None,
    confirmed: str = "",
) -> Run:
    """Write a new run to the ledger. `PARAMS` documents the parameters of each kind.

    `trigger` is command, admin, schedule, code or run. `confirmed` says how somebody confirmed that
    live may be replaced, for the audit trail. Raises Misconfigured for a kind, a parameter
    or a value that makes no sense, and where there is no database to work on; AnotherRunActive
    where the run would write to live and another one does.
    """
    asked = params or {}
    run, _ = _start(kind, trigger, requested_by, on_workers, asked, slot=None, confirmed=confirmed)
    return run


def start_once(
    slot: str,
    kind: str,
    *,
    trigger: str,
    on_workers: bool = True,
    params: Mapping[str, Any] | None = None,
) -> Run | None:
    """Write a new run like `start`, or return None where the slot has had its run."""
    run, created = _start(kind, trigger, "", on_workers, params or {}, slot=slot)
    return run if created else None


def _start(
    kind: str,
    trigger: str,
    requested_by: str,
    on_workers: bool,
    params: Mapping[str, Any],
    *,
    slot: str | None,
    confirmed: str = "",
) -> tuple[Run, bool]:
    """Write a new run, and in the same transaction who started and confirmed it."""

    def told(run: Run) -> None:
        if trigger == "command" and not on_workers:
            audit.settings_seen("command")
        details = {"kind": kind, "params": asked}
        audit.record("started", run.pk, through=trigger, by=requested_by, details=details)
        if confirmed:
            said = {"confirmed": confirmed}
            audit.record("confirmed", run.pk, through=trigger, by=requested_by, details=said)

    _refuse_misfit(kind, params)
    databases = each_database(backup_settings())
    if kind == Run.Kind.RESTORE:
        one_database.refuse_unclear(params, backup_settings())
    for each in [] if kind in _STORE_ONLY else databases:
        require_database(each.database)
        if kind in _READS_LIVE:
            refuse_unapplied(each)
    asked = {**PARAMS[kind], **params}
    step_names = steps_of(kind, asked)
    return ledger.start(
        kind,
        params=asked,
        step_names=step_names,
        trigger=trigger,
        requested_by=requested_by,
        on_workers=on_workers,
        slot=slot,
        writes_live=not WRITES_LIVE.isdisjoint(step_names),
        also=told,
    )


def _refuse_misfit(kind: str, params: Mapping[str, Any]) -> None:
    """Raise Misconfigured for a kind, a parameter or a value that makes no sense, naming it."""
    if kind not in PARAMS:
        raise Misconfigured(
            f"there is no kind of run {kind!r}", hint=f"There are: {_list(PARAMS)}."
        )
    if unknown := sorted(set(params) - set(PARAMS[kind])):
        raise Misconfigured(
            f"a {kind} run has no parameter {', '.join(unknown)}",
            hint=f"It has: {_list(PARAMS[kind])}.",
        )
    for name, value in params.items():
        kinds = _KINDS.get(name, (type(PARAMS[kind][name]),))
        fits = isinstance(value, kinds) or (list in kinds and isinstance(value, tuple))
        if not fits:
            wanted = " or ".join("None" if one is type(None) else one.__name__ for one in kinds)
            raise Misconfigured(
                f"the parameter {name} of a {kind} run is {value!r}", hint=f"Its kind is {wanted}."
            )
        if value is not None and name in _CHOICES and value not in _CHOICES[name]:
            raise Misconfigured(
                f"the parameter {name} of a {kind} run is {value!r}",
                hint=f"It can be: {_list(repr(choice) for choice in _CHOICES[name])}.",
            )


def _list(names: Iterable[str]) -> str:
    return ", ".join(str(name) for name in names)


def follow(run: Run) -> Run | None:
    """Start what is to follow a run that succeeded: the drill of a backup, on the workers.

    Return None where there is nothing to start, or it was started already.
    """
    if run.state != Run.State.SUCCEEDED or run.params.get("then") != "drill":
        return None
    params = {"package": run.package}
    slot = f"drill-of-{run.pk}"
    return start_once(slot, Run.Kind.DRILL, trigger="run", params=params)


def follow_all() -> list[Run]:
    """Start what was to follow the runs of the last day and was not started: the process that
    should have done it ended in between."""
    yesterday = moments.now() - timedelta(days=1)
    recent = Run.objects.filter(state=Run.State.SUCCEEDED, finished_at__gte=yesterday)
    return [follower for run in recent if (follower := follow(run))]


def resume(
    run_id: str, *, on_workers: bool, trigger: str = "command", requested_by: str = ""
) -> Run:
    """Make a failed or abandoned run pending again, from its first unfinished step. Raises what
    `ledger.resume` raises."""
    run = ledger.find(run_id)
    writes = writes_live(run.kind, run.params)
    resumed = ledger.resume(run_id, on_workers=on_workers, writes_live=writes)
    audit.record("resumed", run_id, through=trigger, by=requested_by)
    return resumed


def cancel(run_id: str, *, trigger: str = "command", requested_by: str = "") -> Run:
    """Cancel an active run; a step that is being worked on stops within seconds. What the run
    has made is removed at once, or when that step has stopped. Raises what `ledger.cancel` raises.
    """
    if run_id in runs_in_doubt(engine_for(backup_settings().database)):
        raise ledger.too_late_to_cancel(run_id)
    run = ledger.cancel(run_id, requested_by=requested_by)
    audit.record("cancelled", run_id, through=trigger, by=requested_by)
    if not ledger.is_at_work(run):
        cleanup.remove_orphans_of(run_id)
    return run
