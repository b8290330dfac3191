"""Starts, finds, fails, cancels and resumes runs."""

from __future__ import annotations

import random
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from django.db import IntegrityError, OperationalError

from backup_tasks import moments
from backup_tasks.error_classification import is_deadlock
from backup_tasks.errors import AnotherRunActive, BackupError, Cancelled, Permanent
from backup_tasks.ledger.rows import (
    LIVE,
    database,
    expected_by,
    history,
    is_live,
    ledger_transaction,
)
from backup_tasks.ledger.signals import tell_ended
from backup_tasks.models import Run, Step, UndoPoint

_TRIES = 20
_BASE32 = "abcdefghijklmnopqrstuvwxyz234567"


def start(
    kind: str,
    *,
    params: Mapping[str, Any],
    step_names: Sequence[str],
    trigger: str,
    requested_by: str = "",
    on_workers: bool = False,
    slot: str | None = None,
    writes_live: bool = False,
    also: Callable[[Run], None] = lambda run: None,
) -> tuple[Run, bool]:
    """Write a new run with its steps, and what `also` writes in the same transaction; return it and
    True.

    Where a run has the slot already, return that one and False: a schedule that fires twice
    starts once. Raises AnotherRunActive where the run would write to live and another such run is
    active.
    """
    run = Run(
        id=_new_id(kind),
        kind=kind,
        params=dict(params),
        trigger=trigger,
        requested_by=requested_by,
        on_workers=on_workers,
        slot=slot,
        live_lock=LIVE if writes_live else None,
    )
    if slot is not None and (first := Run.objects.filter(slot=slot).first()):
        return first, False
    try:
        _insert(run, step_names, also)
    except IntegrityError:
        if slot is not None and (first := Run.objects.filter(slot=slot).first()):
            return first, False
        holder = Run.objects.filter(live_lock=LIVE).first() if writes_live else None
        if holder is None:
            raise
        if not release_live_lock(holder):
            raise another_run_active(holder) from None
        _insert(run, step_names, also)
    return run, True


def skip(kind: str, *, slot: str, trigger: str, why: BackupError) -> None:
    """Write that a run was not started: a cancelled one without steps, once for the slot."""
    Run.objects.get_or_create(
        slot=f"{slot} skipped",
        defaults={
            "id": _new_id(kind),
            "kind": kind,
            "state": Run.State.CANCELLED,
            "trigger": trigger,
            "error": why.record(),
            "finished_at": moments.now(),
        },
    )


def _insert(run: Run, step_names: Sequence[str], also: Callable[[Run], None]) -> None:
    """Write it, again where others that write runs at the same moment are in the way: of two that
    append to the same end of a table, MariaDB ends one."""
    for number in range(1, _TRIES + 1):
        try:
            _insert_once(run, step_names, also)
            break
        except OperationalError as error:
            if number == _TRIES or not is_deadlock(error):
                raise
            time.sleep(random.uniform(0, 0.05) * number)  # noqa: S311  # jitter


def _insert_once(run: Run, step_names: Sequence[str], also: Callable[[Run], None]) -> None:
    with ledger_transaction():
        run.save(using=database(), force_insert=True)
        Step.objects.bulk_create(
            Step(run=run, position=position, name=name, lease_until=expected_by())
            for position, name in enumerate(step_names)
        )
        also(run)


def _new_id(kind: str) -> str:
    stamp = moments.now().strftime("%Y%m%dT%H%M%S")
    return f"{kind}-{stamp}-" + "".join(secrets.choice(_BASE32) for _ in range(5))


def find(run_id: str) -> Run:
    """Return the run, read anew. Raises Permanent where there is none of that id."""
    run = Run.objects.filter(pk=run_id).first()
    if run is None:
        raise Permanent("there is no such run", obj=run_id, hint="The command `runs` lists them.")
    return run


def current_step(run: Run) -> Step | None:
    """Return the run's first unfinished step, None where all are finished."""
    unfinished = Step.objects.filter(run=run).exclude(state=Step.State.SUCCEEDED)
    return unfinished.order_by("position").first()


def task_of(run_id: str, step: str) -> str:
    """Return the id of the Celery task that claimed the step last; "" where none has."""
    found = Step.objects.filter(run=run_id, name=step).values_list("task_id", flat=True).first()
    return found or ""


def is_at_work(run: Run) -> bool:
    """Tell whether somebody works on a step of the run at this moment."""
    step = current_step(run)
    return step is not None and is_live(step)


def is_just_resumed(run_id: str) -> bool:
    """Tell whether the run is at its first attempt since an operator resumed it: any time may have
    passed since the attempt before."""
    unfinished = Step.objects.filter(run=run_id).exclude(state=Step.State.SUCCEEDED)
    step = unfinished.order_by("position").first()
    before = step.attempts[-1:] if step else []
    return [attempt["outcome"] for attempt in before] == ["resumed"]


def another_run_active(holder: Run) -> AnotherRunActive:
    """Return the error that tells which run is active, where it is, and what can be done."""
    step = current_step(holder)
    since = (holder.started_at or holder.created_at).strftime("%Y-%m-%d %H:%M:%S UTC")
    where = f"at step {step.name}" if step else "at its end"
    if step is not None and is_live(step):
        hint = f"Wait until it has ended (`runs --watch`), or end it: `cancel_run {holder.id}`."
    else:
        where += ", which nobody works on at the moment"
        hint = f"Go on with it: `resume_run {holder.id}`, or give it up: `cancel_run {holder.id}`."
    return AnotherRunActive(
        f"the run {holder.id} is {holder.state} since {since}, {where}", obj=holder.id, hint=hint
    )


def release_live_lock(holder: Run) -> bool:
    """Free the lock on live that an ended run still holds because a step of it was being worked on
    when it was cancelled. Return False where that step may still be at work."""
    if holder.state in Run.ACTIVE or is_at_work(holder):
        return False
    ended = Run.objects.filter(pk=holder.pk).exclude(state__in=Run.ACTIVE)
    return bool(ended.update(live_lock=None))


def fail_run(run_id: str, error: BackupError) -> bool:
    """Fail an active run that nobody works on. Return False where it was not active any more."""
    active = Run.objects.filter(pk=run_id, state__in=Run.ACTIVE)
    failed = active.update(
        state=Run.State.FAILED,
        error=error.record(),
        live_lock=None,
        finished_at=moments.now(),
    )
    if failed:
        tell_ended(run_id)
    return bool(failed)


def cancel(run_id: str, *, requested_by: str = "") -> Run:
    """Cancel an active run; a step at work stops at the next point where that is safe.

    Until it has, the run keeps its lock on live. Raises Permanent where the run has ended, or has
    replaced live's rows: then it can only be finished.
    """
    by = f" by {requested_by}" if requested_by else ""
    error = Cancelled(f"cancelled{by}", obj=run_id, hint="Start a new run when it is wanted.")
    with ledger_transaction():
        _release_lost_claims(run_id)
        cancelled = Run.objects.filter(pk=run_id, state__in=Run.ACTIVE)
        if not cancelled.update(
            state=Run.State.CANCELLED, error=error.record(), finished_at=moments.now()
        ):
            run = find(run_id)
            raise Permanent(f"the run has ended already: it {_past(run)}", obj=run_id)
        run = find(run_id)
        if UndoPoint.objects.filter(pk=run_id).exists():
            raise too_late_to_cancel(run_id)
        release_live_lock(run)
        tell_ended(run_id)
    return find(run_id)


def too_late_to_cancel(run_id: str) -> Permanent:
    """Return the error for a run that can only be finished."""
    return Permanent(
        "it is too late to cancel: the run has replaced live's rows, and now its files",
        obj=run_id,
        hint=f"If nobody works on it, `resume_run {run_id}` finishes it; `undo_restore` "
        "then brings back what was there.",
    )


def _release_lost_claims(run_id: str) -> None:
    """Release the claims of processes that are gone, since these will not end them."""
    for step in Step.objects.filter(run=run_id, state=Step.State.RUNNING):
        if not is_live(step):
            unchanged = Step.objects.filter(pk=step.pk, attempt=step.attempt, state=step.state)
            unchanged.filter(lease_until=step.lease_until).update(
                state=Step.State.PENDING, attempts=history(step, "lost"), owner="", lease_until=None
            )


def resume(run_id: str, *, on_workers: bool, writes_live: bool, requested_by: str = "") -> Run:
    """Make a failed or abandoned run pending again, from its first unfinished step.

    Raises AnotherRunActive where somebody works on it, or where another run writes to live;
    Permanent where there is nothing to resume.
    """
    run, step = find(run_id), None
    if run.state not in (Run.State.SUCCEEDED, Run.State.CANCELLED):
        step = current_step(run)
    if step is None:
        raise Permanent(
            f"the run can't be resumed: it {_past(run)}", obj=run_id, hint="Start a new run."
        )
    if is_live(step):
        raise another_run_active(run)
    try:
        with ledger_transaction():
            _reopen(run, step, on_workers=on_workers, writes_live=writes_live)
    except IntegrityError:
        holder = Run.objects.filter(live_lock=LIVE).exclude(pk=run_id).first()
        if holder is None:
            raise
        raise another_run_active(holder) from None
    return find(run_id)


def _reopen(run: Run, step: Step, *, on_workers: bool, writes_live: bool) -> None:
    unchanged = Step.objects.filter(
        pk=step.pk, attempt=step.attempt, state=step.state, lease_until=step.lease_until
    )
    if not unchanged.update(
        state=Step.State.PENDING,
        error=None,
        owner="",
        lease_until=expected_by(),
        attempts=history(step, "resumed"),
    ):
        raise another_run_active(run)
    Run.objects.filter(pk=run.pk).update(
        state=Run.State.PENDING,
        error=None,
        finished_at=None,
        on_workers=on_workers,
        live_lock=LIVE if writes_live else None,
    )


def _past(run: Run) -> str:
    return {
        Run.State.SUCCEEDED.value: "succeeded",
        Run.State.FAILED.value: "failed",
        Run.State.CANCELLED.value: "was cancelled",
    }.get(run.state, f"is {run.state}")
