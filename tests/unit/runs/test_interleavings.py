"""The ledger under every order of events: two deliveries of each step, crashes, zombies, a
cancellation, the reconciler, and a clock that steps.

All orders of so many events are tried, one after the other, each from the state that it is in: a
savepoint is what a branch starts from. States that are alike are gone on with once. A zombie is a
holder whose next event comes after its lease has run out.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import transaction

from backup_tasks import ledger, moments
from backup_tasks.errors import Cancelled, LeaseLost, Permanent, StorageUnavailable
from backup_tasks.ledger import owner
from backup_tasks.models import Run, Step, UndoPoint
from tests.services import Project

START = datetime(2026, 11, 28, 2, 30, tzinfo=UTC)
LEASE = timedelta(seconds=60)
CLOCK = {"the lease runs out": LEASE * 6, "the clock is put back": -LEASE / 2}
STATES_AT_LEAST = 200
"""Fewer would mean that the search does not reach what it is for."""


@dataclass(frozen=True)
class World:
    """What is outside the ledger: what the deliveries' processes hold, and what was changed."""

    held: tuple[tuple[str, int, int], ...] = ()
    """By delivery: its name, the step's position and the attempt's number, as in its claim."""
    changed: tuple[str, ...] = ()
    """The steps that have committed what they do."""


class Search:
    """Tries all orders. `claims` are the processes' memory, by step and attempt."""

    def __init__(self, run: Run) -> None:
        self.run_id = run.pk
        self.steps = tuple(run.steps.order_by("position").values_list("name", flat=True))
        self.claims: dict[tuple[int, int], ledger.Claim] = {}
        self.seen: dict[Any, int] = {}

    def explore(self, world: World, depth: int, path: tuple[str, ...] = ()) -> None:
        run = Run.objects.get(pk=self.run_id)
        steps = list(Step.objects.filter(run=run).order_by("position"))
        key = self.key(world, run, steps)
        if key not in self.seen:
            self.check(world, run, steps, path)
        if self.seen.get(key, -1) >= depth:
            return
        self.seen[key] = depth
        for event in self.possible(world, run) if depth else ():
            with branch():
                self.explore(self.happen(event, world), depth - 1, (*path, event))

    def key(self, world: World, run: Run, steps: list[Step]) -> Any:
        """What tells states apart: all that the ledger decides by. The two deliveries are alike."""
        rows = [
            (
                step.state,
                step.attempt,
                step.lease_until and (step.lease_until - moments.now()),
                tuple(sorted(entry["outcome"] for entry in step.attempts)),
            )
            for step in steps
        ]
        held = tuple(sorted(claim for _, *claim in world.held))
        return str((held, world.changed, run.state, run.live_lock, rows))

    def possible(self, world: World, run: Run) -> Iterator[str]:
        held = [name for name, *_ in world.held]
        if len(held) < 2:
            yield f"{'two' if 'one' in held else 'one'} is delivered"
        for name in held:
            for what in ("changes", "succeeds", "fails", "meets an outage", "crashes"):
                yield f"{name} {what}"
        yield from CLOCK
        if run.state != Run.State.CANCELLED:
            yield "an operator cancels"
        yield "the reconciler looks"

    def happen(self, event: str, world: World) -> World:
        who, _, what = event.partition(" ")
        if event in CLOCK:
            _clock[0] += CLOCK[event]
        elif event == "an operator cancels":
            try:
                with transaction.atomic():
                    ledger.cancel(self.run_id)
            except Permanent:
                pass  # too late
        elif event == "the reconciler looks":
            ledger.abandoned()
            ledger.fail_dead_commands()
            ledger.release_live_locks()
        elif what == "is delivered":
            return self.deliver(who, world)
        else:
            return self.go_on(who, what, world)
        return world

    def deliver(self, who: str, world: World) -> World:
        """Claim the first step that may be worked on."""
        for position, name in enumerate(self.steps):
            answer = ledger.claim(self.run_id, name, task_id=who)
            if isinstance(answer, ledger.Claim):
                self.claims[position, answer.step.attempt] = answer
                held = (who, position, answer.step.attempt)
                return replace(world, held=tuple(sorted({*world.held, held})))
            if not isinstance(answer, ledger.Finished):
                return world
        return world

    def go_on(self, who: str, what: str, world: World) -> World:
        _, position, attempt = next(held for held in world.held if held[0] == who)
        claim = self.claims[position, attempt]
        ended = replace(world, held=tuple(held for held in world.held if held[0] != who))
        if what == "succeeds" and claim.step.name not in world.changed:
            return world
        holder = Step.objects.get(pk=claim.step.pk).attempt == attempt
        try:
            with transaction.atomic():
                if what == "changes":
                    ended = self.change(claim, world, ended)
                elif what == "succeeds":
                    ledger.succeed(claim, {"attempt": attempt}, report={})
                elif what == "fails":
                    ledger.fail(claim, Permanent("no"))
                elif what == "meets an outage":
                    ledger.will_retry(claim, StorageUnavailable("away"), delay=1)
                else:  # crashes
                    return ended
        except LeaseLost:
            return ended
        assert holder, f"attempt {attempt} wrote, and another has the step"
        return ended

    def change(self, claim: ledger.Claim, world: World, ended: World) -> World:
        """What a step does, in a transaction that asks whether it still may. What an earlier
        attempt has committed is not done again: promote sees it by the UndoPoint."""
        try:
            with transaction.atomic():
                claim.still_mine()
                if claim.step.name in world.changed:
                    return world
                if claim.step.name == "promote":
                    UndoPoint.objects.create(run_id=self.run_id, expires_at=START)
        except Cancelled as error:
            ledger.fail(claim, error)
            return ended
        return replace(world, changed=(*world.changed, claim.step.name))

    def check(self, world: World, run: Run, steps: list[Step], path: tuple[str, ...]) -> None:
        """What holds at every moment, whatever has happened."""
        at = f"{run.state} after {path}"
        assert world.changed == self.steps[: len(world.changed)], f"before its time: {at}"
        for step in steps:
            ends = [entry["outcome"] for entry in step.attempts]
            assert ends.count("succeeded") == (step.state == Step.State.SUCCEEDED), at
            assert step.state != Step.State.SUCCEEDED or step.name in world.changed, at
        all_done = all(step.state == Step.State.SUCCEEDED for step in steps)
        assert (run.state == Run.State.SUCCEEDED) == all_done, at
        if run.state == Run.State.CANCELLED:
            assert "promote" not in world.changed, f"live was changed: {at}"
        if run.state in Run.ACTIVE or any(map(ledger.rows.is_live, steps)):
            assert run.live_lock, f"another run could write to live: {at}"


_clock = [START]


@contextmanager
def branch() -> Iterator[None]:
    """What happens inside has not happened afterwards."""
    clock = _clock[0]
    with transaction.atomic():
        yield
        transaction.set_rollback(True)
    _clock[0] = clock


@pytest.mark.parametrize("engine", ["sqlite"])
@pytest.mark.parametrize(
    ("steps", "on_workers", "events"),
    [
        (("load", "promote"), True, 5),
        (("promote",), True, 6),
        (("promote",), False, 5),
    ],
)
def test_in_every_order_of_events_each_step_is_done_once_and_by_its_holder(
    on_project: Project,
    monkeypatch: pytest.MonkeyPatch,
    steps: list[str],
    on_workers: bool,
    events: int,
) -> None:
    """C1, C2, C3, C26"""
    monkeypatch.setattr(moments, "now", lambda: _clock[0])
    # Of a host of its own: nobody knows whether the process is alive.
    monkeypatch.setattr(owner, "this_process", lambda: "elsewhere:-:1:-")
    with branch():
        run, _ = ledger.start(
            "restore",
            params={},
            step_names=steps,
            trigger="command",
            on_workers=on_workers,
            writes_live=True,
        )
        search = Search(run)
        search.explore(World(), events)

    assert len(search.seen) > STATES_AT_LEAST
