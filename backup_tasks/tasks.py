"""The Celery tasks: one per step, and those that beat starts.

A message carries the run's id and the step's name, nothing else: what a step needs is in the ledger
and in the workspace, and Flower shows arguments to all of its users.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime
from typing import Any, cast

from celery import Task, chain, shared_task
from celery.canvas import Signature
from celery.exceptions import Ignore
from django.apps import apps
from django.db import transaction
from kombu.exceptions import OperationalError as BrokerUnavailable

from backup_tasks import cleanup, ledger, moments
from backup_tasks.alerts.watch import watch
from backup_tasks.conf import backup_settings
from backup_tasks.errors import Transient
from backup_tasks.evidence import audit
from backup_tasks.models import Run, Step
from backup_tasks.runs import chains, execution, slot

logger = logging.getLogger(__name__)

# Here, not in the project's settings: those are for its own tasks too.
_ACKNOWLEDGED_WHEN_DONE: dict[str, Any] = {
    "acks_late": True,
    "reject_on_worker_lost": True,
    "track_started": True,
}
_A_YEAR = 365 * 24 * 60 * 60
_STEP_OPTIONS: dict[str, Any] = {
    "bind": True,
    **_ACKNOWLEDGED_WHEN_DONE,
    # Bounds what Celery itself repeats (a worker lost before its step was claimed, C2). How often a
    # transient error or a lost claim is forgiven is the ledger's business.
    "max_retries": 50,
    "default_retry_delay": 1,
    # Instead of a limit that the project has for all tasks: a step takes as long as there is data.
    # One that hangs is cancelled by an operator.
    "time_limit": _A_YEAR,
    "soft_time_limit": _A_YEAR,
}


_SHORTLY = {"max_retries": 2, "interval_start": 0.2, "interval_step": 0.5, "interval_max": 1}


def _task_for(step: str) -> Task[Any, Any]:
    def task(self: Task[Any, Any], *, run_id: str, step: str) -> dict[str, Any]:
        return _execute(self, run_id, step)

    # In quotes, as all annotations are: before Celery 5.5 the class takes no parameters.
    decorate = cast(
        "Callable[[Callable[..., Any]], Task[Any, Any]]",
        shared_task(name=f"backup_tasks.{step}", **_STEP_OPTIONS),
    )
    return decorate(task)


snapshot = _task_for("snapshot")
dump = _task_for("dump")
pack = _task_for("pack")
verify = _task_for("verify")
admit = _task_for("admit")
fit = _task_for("fit")
prune = _task_for("prune")
fetch = _task_for("fetch")
safety = _task_for("safety")
reinit = _task_for("reinit")
load = _task_for("load")
validate = _task_for("validate")
promote = _task_for("promote")
merge = _task_for("merge")
rehearse = _task_for("rehearse")
discard = _task_for("discard")
undo = _task_for("undo")

_STEPS = {
    task.name.removeprefix("backup_tasks."): task
    for task in (
        snapshot,
        dump,
        pack,
        verify,
        admit,
        fit,
        prune,
        fetch,
        safety,
        reinit,
        load,
        validate,
        promote,
        merge,
        rehearse,
        discard,
        undo,
    )
}


def enqueue(run: Run) -> None:
    """Hand the run's unfinished steps to the workers, once the current transaction is committed.

    Raises Transient where the broker does not answer within seconds; the run is pending then, and
    the reconciler enqueues it later.
    """
    transaction.on_commit(lambda: _publish(run), using=backup_settings().database)


def hand_over(run: Run, *, hint: str) -> None:
    """Hand a run that somebody just asked for to the workers, like `enqueue`.

    Where the broker does not answer, the run is failed, and Transient raised with the `hint`: a
    restore that waits for the broker to come back and then happens by itself, hours later, would be
    worse than one that has to be resumed.
    """
    try:
        enqueue(run)
    except Transient as raised:
        error = Transient(raised.what, obj=run.pk, hint=hint)
        ledger.fail_run(run.pk, error)
        raise error from raised


def _publish(run: Run) -> None:
    unfinished = run.steps.exclude(state=Step.State.SUCCEEDED).order_by("position")
    signatures: list[Signature[Any]] = [
        _STEPS[step.name].si(run_id=run.pk, step=step.name) for step in unfinished
    ]
    if not signatures:
        return
    try:
        # Somebody waits for the answer: they are told soon that there is none.
        chain(*signatures).apply_async(retry_policy=_SHORTLY)
    except BrokerUnavailable as error:
        raise Transient(
            f"the broker does not answer: {error}",
            obj=run.pk,
            hint="The run is pending and is enqueued when the broker and the workers are back.",
        ) from error


def _execute(task: Task[Any, Any], run_id: str, step: str) -> dict[str, Any]:
    """Execute the step; return what Celery's result keeps of it: the ledger has the rest.

    Returning lets the chain go on, raising ends it.
    """
    task.request.update(meta={"run_id": run_id, "step": step})  # kept with the result (C7)
    try:
        outcome = execution.execute_step(run_id, step, task_id=task.request.id or "")
    except Transient as unavailable:  # the ledger does not answer
        delay = execution.RETRY.delay(min(task.request.retries or 0, 8))
        raise task.retry(exc=unavailable, countdown=delay) from unavailable
    match outcome:
        case execution.Succeeded(run_finished=finished):
            if finished:
                _follow(run_id)
        case ledger.Finished():
            logger.info("%s of %s is finished already: a duplicate delivery", step, run_id)
        case execution.TryAgain(error=error, delay=delay):
            raise task.retry(exc=error, countdown=delay)
        case ledger.Busy(owner=owner, until=until):
            logger.info("%s of %s is held by %s: a duplicate delivery", step, run_id, owner)
            _ask_again(task, until)
            raise Ignore
        case execution.Failed(error=error):
            raise error
        case execution.Lost(error=error):
            logger.warning("%s of %s: %s", step, run_id, error)
            if ledger.task_of(run_id, step) == task.request.id:
                raise Ignore  # the same message is worked on elsewhere: its answer is the other's
            raise error
        case ledger.Refused(error=error):
            logger.warning("%s of %s: %s", step, run_id, error)
            raise error
    return {"run_id": run_id, "step": step}


def _ask_again(task: Task[Any, Any], until: datetime) -> None:
    """Send the same message again for when the lease may have expired. Unlike a retry it does not
    count, and leaves the result's row to the task that holds the step."""
    seconds = max(1.0, (until - moments.now()).total_seconds())
    again = task.signature_from_request(
        task.request, countdown=seconds, retries=task.request.retries
    )
    again.apply_async()


def _follow(run_id: str) -> None:
    if drill := chains.follow(ledger.find(run_id)):
        enqueue(drill)


@shared_task(name="backup_tasks.scheduled", **_ACKNOWLEDGED_WHEN_DONE)
def scheduled(*, schedule: str) -> dict[str, Any]:
    """Start the run for which this schedule of `BACKUP["SCHEDULES"]` is due, if nobody has yet.

    Two beats, or one that comes late, start one run: it is unique on the schedule and the time
    that it was due (C15). Returns the run and its slot, and whether it was started by this.
    """
    run, started = slot.start(slot.named(schedule))
    if started:
        enqueue(run)
    return {"slot": run.slot, "run_id": run.pk, "started": started}


class _NoEvents:
    """Stands in for the dispatcher of the event that a task was sent."""

    def publish(self, *args: Any, **options: Any) -> None:
        """Publish nothing."""


class _Unwatched(Task):  # type: ignore[type-arg]  # before Celery 5.5 it takes no parameters
    """A task without events: one that runs every minute would fill the first pages of Flower. Its
    results are recorded."""

    send_events = False

    def apply_async(self, *args: Any, **options: Any) -> Any:
        return super().apply_async(*args, **{"event_dispatcher": _NoEvents(), **options})


@shared_task(name="backup_tasks.reconcile", base=_Unwatched, bind=True, track_started=True)
def reconcile(self: Task[Any, Any]) -> dict[str, list[str]]:
    """Enqueue the runs again whose worker or message is gone, fail those whose command died, start
    what was to follow a run but did not (C1, C3, C4), try scheduled backups again that failed, end
    the results of tasks whose worker is gone (C27); and tell whom it concerns what is wrong, also
    where something of that failed."""
    try:
        done = _reconcile(self)
    finally:
        unsent = watch()
    return {**done, "unsent": unsent}


def _reconcile(self: Task[Any, Any]) -> dict[str, list[str]]:
    audit.settings_seen("worker")
    again = ledger.abandoned()
    for run in again:
        logger.warning("nobody works on %s: its remaining steps are enqueued again", run.pk)
        enqueue(run)
    failed_commands = ledger.fail_dead_commands()
    ledger.release_live_locks()
    followers = chains.follow_all()
    for run in followers:
        enqueue(run)
    retried = []
    for failed, run in slot.start_again():
        enqueue(run)
        retried.append(run)
        # Else a day of failures would fill the disk with what each of them has dumped.
        cleanup.remove_orphans_of(failed.pk)
    lost = []
    if apps.is_installed("django_celery_results"):
        from backup_tasks.runs.lost_results import end_lost_results

        lost = end_lost_results(self.app)
    return {
        "enqueued": [run.pk for run in [*again, *followers, *retried]],
        "failed": [run.pk for run in failed_commands],
        "results": lost,
    }
