"""Claims a step, and writes how the attempt ended. The attempt's number fences every write."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Any, Self

from django.db import connections, transaction
from django.db.models import F, QuerySet
from django.db.models.functions import Coalesce, Now

from backup_tasks import moments
from backup_tasks.engines.interruption import Statements
from backup_tasks.errors import BackupError, Cancelled, ErrorRecord, LeaseLost, Permanent
from backup_tasks.ledger import owner
from backup_tasks.ledger.heartbeat import Heartbeat
from backup_tasks.ledger.rows import (
    count_since_resumed,
    database,
    expected_by,
    history,
    is_live,
    lease_end,
    ledger_transaction,
)
from backup_tasks.ledger.signals import tell_ended, tell_started
from backup_tasks.models import Run, Step
from backup_tasks.progress import stoppable

LOST_LIMIT = 5
"""A step whose worker was lost so often is not tried again: the step is the likely cause."""


@dataclass(frozen=True, kw_only=True)
class Finished:
    """The step is finished already: this delivery is a duplicate, and the chain may go on."""

    result: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Busy:
    """Somebody else holds the step."""

    owner: str
    until: datetime
    """When the lease expires, unless a heartbeat extends it."""


@dataclass(frozen=True, kw_only=True)
class Refused:
    """The step must not be worked on; the error says why."""

    error: BackupError


class Claim:
    """A step that this process holds. Inside `with`, heartbeats keep the lease, and notice when the
    step should stop."""

    def __init__(self, run: Run, step: Step, finished: Sequence[Step] = ()) -> None:
        self.run = run
        self.step = step
        self.results: Mapping[str, Mapping[str, Any]] = {
            done.name: done.result for done in finished
        }
        """Results of the run's finished steps, by step name."""
        self.hosts: Mapping[str, str] = {done.name: owner.host(done.owner) for done in finished}
        """Where these were done, by step name."""
        self.retries = count_since_resumed(step, "retry")
        """How often the step has met a transient error already."""
        self._statements = Statements()
        self._heartbeat = Heartbeat(step, self._statements)

    def __enter__(self) -> Self:
        self._heartbeat.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._heartbeat.stop()

    @contextmanager
    def working(self) -> Iterator[None]:
        """Inside, what this thread executes is ended soon after the run was cancelled or the lease
        was lost: a statement by its database, a loop by `progress`, the reading of a file between
        two blocks."""
        with (
            self._statements.gathered(connections[database()]),
            stoppable(self._stop_if_told),
        ):
            self._heartbeat.is_working = True
            try:
                yield
            finally:
                self._heartbeat.is_working = False

    @property
    def stop_reason(self) -> Cancelled | LeaseLost | None:
        """Why the step should stop, as far as heartbeats have noticed."""
        return self._heartbeat.stop_reason

    def _stop_if_told(self) -> None:
        if self.stop_reason is not None:
            raise self.stop_reason

    def progress(self, done: int, total: int | None = None, note: str = "") -> None:
        """Keep the figures in memory; the next heartbeat writes them. Raises the `stop_reason`."""
        self._stop_if_told()
        self._heartbeat.progress = {"done": done, "total": total, "note": note}

    @property
    def figures(self) -> dict[str, Any]:
        """The progress that was reported last: done, total, note."""
        return self._heartbeat.progress

    def still_mine(self) -> None:
        """Extend the lease. Raises LeaseLost where another worker holds the step, Cancelled where
        the run was cancelled. Inside a transaction this locks both rows, so nobody can claim the
        step, or cancel the run, until the transaction has ended."""
        held = _held(self).update(lease_until=lease_end())
        if not held:
            raise _lease_lost(self)
        # A write of nothing: it locks the run's row, so a cancellation comes before, or too late.
        uncancelled = Run.objects.filter(pk=self.run.pk).exclude(state=Run.State.CANCELLED)
        if not uncancelled.update(state=F("state")):
            raise Cancelled("the run was cancelled", obj=self.run.pk)

    def holds(self) -> None:
        """Raise what `still_mine` raises, by one query: nothing is extended or locked."""
        state = _held(self).values_list("run__state", flat=True).first()
        if state is None:
            raise _lease_lost(self)
        if state == Run.State.CANCELLED:
            raise Cancelled("the run was cancelled", obj=self.run.pk)

    def reads(self, package: str, sha256: str) -> None:
        """Write which package the run reads, as soon as that is known: a run that fails is found
        with its package, and a prune keeps that. Raises LeaseLost, Cancelled."""
        with ledger_transaction():
            self.still_mine()
            Run.objects.filter(pk=self.run.pk).update(package=package, package_sha256=sha256)


def claim(run_id: str, step_name: str, *, task_id: str = "") -> Claim | Finished | Busy | Refused:
    """Claim a step for this process.

    Of many that try at once, one gets the Claim. A step whose lease has expired, or whose process
    on this host is gone, is taken over.
    """
    while True:
        chain = list(Step.objects.filter(run=run_id).select_related("run").order_by("position"))
        step = next((step for step in chain if step.name == step_name), None)
        if step is None:
            return Refused(error=Permanent("the run has no such step", obj=f"{run_id} {step_name}"))
        if answer := _not_claimable(step, chain):
            return answer
        if _take(step, task_id):
            return Claim(step.run, step, chain[: step.position])


def _not_claimable(step: Step, chain: list[Step]) -> Finished | Busy | Refused | None:
    run = step.run
    if step.state == Step.State.SUCCEEDED:  # also of a run that ended otherwise
        return Finished(result=step.result)
    if run.state == Run.State.CANCELLED:
        return Refused(error=Cancelled("the run was cancelled", obj=run.pk))
    if run.state == Run.State.FAILED:
        hint = f"`resume_run {run.pk}` goes on with it."
        return Refused(error=Permanent("the run has failed", obj=run.pk, hint=hint))
    for earlier in chain[: step.position]:
        if earlier.state != Step.State.SUCCEEDED:
            reason = f"the step before it, {earlier.name}, is not finished"
            return Refused(error=Permanent(reason, obj=str(step)))
    if is_live(step):
        return Busy(owner=step.owner, until=step.lease_until or moments.now())
    return None


def _take(step: Step, task_id: str) -> bool:
    """Write the claim if the step is still as it was read, and mirror it in `step`."""
    lost = step.state == Step.State.RUNNING
    attempts = history(step, "lost") if lost else step.attempts
    changes: dict[str, Any] = {
        "state": Step.State.RUNNING,
        "attempt": step.attempt + 1,
        "attempts": attempts,
        "owner": owner.this_process(),
        "task_id": task_id,
        "lease_until": lease_end(),
        "progress": {},
        "error": None,
        "started_at": moments.now(),
        "finished_at": None,
    }
    unchanged = Step.objects.filter(
        pk=step.pk, attempt=step.attempt, state=step.state, lease_until=step.lease_until
    )
    with ledger_transaction():
        if not unchanged.update(**changes):
            return False
        active = Run.objects.filter(pk=step.run_id, state__in=Run.ACTIVE)
        if not active.update(state=Run.State.RUNNING, started_at=Coalesce("started_at", Now())):
            transaction.set_rollback(True, using=database())
            return False
        if step.run.state == Run.State.PENDING:
            tell_started(step.run_id)
    for name, value in changes.items():
        setattr(step, name, value)
    return _not_lost_too_often(step)


def _not_lost_too_often(step: Step) -> bool:
    if count_since_resumed(step, "lost") < LOST_LIMIT:
        return True
    error = Permanent(
        f"the worker vanished {LOST_LIMIT} times while it was at work on it",
        obj=str(step),
        hint="Look into the worker's log and the kernel's: it may be running out of memory. "
        f"Then `resume_run {step.run_id}`.",
    )
    fail(Claim(step.run, step), error)
    return False


def succeed(
    claim: Claim,
    result: Mapping[str, Any],
    *,
    report: Mapping[str, Any],
    package: str = "",
    sha256: str = "",
) -> bool:
    """Record the step's result; return True where it was the last and the run has succeeded.

    A cancellation that comes after the last step did its work is too late: the run succeeded.
    Raises LeaseLost.
    """
    step = claim.step
    written: dict[str, Any] = {"report": report}
    if package:
        written |= {"package": package, "package_sha256": sha256}
    with ledger_transaction():
        _end(claim, Step.State.SUCCEEDED, "succeeded", result=dict(result), lease_until=None)
        later = Step.objects.filter(run=step.run_id, position=step.position + 1)
        finished = not later.update(lease_until=expected_by())
        run = Run.objects.filter(pk=step.run_id)
        if finished:
            run.update(
                state=Run.State.SUCCEEDED,
                live_lock=None,
                error=None,
                finished_at=moments.now(),
                **written,
            )
            tell_ended(step.run_id)
        else:
            run.update(**written)
            run.filter(state=Run.State.CANCELLED).update(live_lock=None)
    return finished


def fail(
    claim: Claim,
    error: BackupError,
    *,
    report: Mapping[str, Any] | None = None,
    traceback: str = "",
) -> None:
    """Record that the step, and with it the run, has failed. Raises LeaseLost.

    A run that was cancelled stays cancelled, and frees its lock on live now.
    """
    record: dict[str, Any] = {**error.record(), "traceback": traceback}
    written = {"report": report} if report is not None else {}
    with ledger_transaction():
        _end(claim, Step.State.FAILED, "failed", of=error.record(), error=record, lease_until=None)
        run = Run.objects.filter(pk=claim.step.run_id)
        run.update(live_lock=None, **written)
        if run.filter(state__in=Run.ACTIVE).update(
            state=Run.State.FAILED, error=error.record(), finished_at=moments.now()
        ):
            tell_ended(claim.step.run_id)


def will_retry(claim: Claim, error: BackupError, *, delay: float) -> None:
    """Record a transient error; the step is due again in `delay` seconds. Raises LeaseLost."""
    _end(
        claim,
        Step.State.PENDING,
        "retry",
        of=error.record(),
        error=error.record(),
        lease_until=expected_by(delay),
    )


def _end(
    claim: Claim, state: str, outcome: str, *, of: ErrorRecord | None = None, **changes: Any
) -> None:
    if not _held(claim).update(
        state=state,
        attempts=history(claim.step, outcome, of),
        progress=claim.figures,
        finished_at=moments.now(),
        **changes,
    ):
        raise _lease_lost(claim)


def _held(claim: Claim) -> QuerySet[Step]:
    step = claim.step
    return Step.objects.filter(pk=step.pk, attempt=step.attempt, state=Step.State.RUNNING)


def _lease_lost(claim: Claim) -> LeaseLost:
    return LeaseLost(
        f"attempt {claim.step.attempt} lost its lease: the step is another's, or waits for one",
        obj=str(claim.step),
    )
