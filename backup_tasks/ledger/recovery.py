"""Finds the runs whose worker, process or message is gone."""

from __future__ import annotations

from backup_tasks import moments
from backup_tasks.errors import Permanent
from backup_tasks.ledger.rows import LIVE, expected_by, history, is_live
from backup_tasks.ledger.runs import current_step, fail_run, release_live_lock
from backup_tasks.models import Run, Step


def abandoned() -> list[Run]:
    """Return the workers' runs that nobody works on, to be enqueued again, each at most once per
    grace period.

    A step whose lease is gone has lost its worker. A step that nobody claimed in time has lost its
    message, unless the queue is merely busy: then it is left alone until no step is at work.
    """
    found = []
    active = list(Run.objects.filter(on_workers=True, state__in=Run.ACTIVE))
    current = [(run, step) for run in active if (step := current_step(run))]
    queue_is_busy = any(is_live(step) for _, step in current)
    for run, step in current:
        lost_worker = step.state == Step.State.RUNNING and not is_live(step)
        lost_message = step.state != Step.State.RUNNING and _is_overdue(step) and not queue_is_busy
        if (lost_worker or lost_message) and _expect_again(step):
            found.append(run)
    return found


def fail_dead_commands() -> list[Run]:
    """Fail the runs whose command was killed before it could fail them; return them."""
    found = []
    for run in Run.objects.filter(on_workers=False, state__in=Run.ACTIVE):
        step = current_step(run)
        if step is None or is_live(step):
            continue
        if step.state == Step.State.RUNNING or _is_overdue(step):
            error = Permanent(
                f"the process that ran it died at step {step.name}",
                obj=run.pk,
                hint=f"`resume_run {run.pk}` goes on from there.",
            )
            if _expect_again(step) and fail_run(run.pk, error):
                found.append(run)
    return found


def release_live_locks() -> None:
    """Free locks on live that cancelled runs kept for a step at work that has vanished since."""
    for run in Run.objects.filter(live_lock=LIVE).exclude(state__in=Run.ACTIVE):
        release_live_lock(run)


def _is_overdue(step: Step) -> bool:
    return step.lease_until is not None and step.lease_until < moments.now()


def _expect_again(step: Step) -> bool:
    """Make the step pending with a new time by which it should be claimed. Return False where
    another process has changed it first."""
    lost = step.state == Step.State.RUNNING
    unchanged = Step.objects.filter(
        pk=step.pk, attempt=step.attempt, state=step.state, lease_until=step.lease_until
    )
    return bool(
        unchanged.update(
            state=Step.State.PENDING,
            lease_until=expected_by(),
            attempts=history(step, "lost") if lost else step.attempts,
        )
    )
