"""A run as its page shows it: an entry for each step, and the figures of each model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.utils.safestring import SafeString

from backup_tasks import ledger, moments
from backup_tasks.admin.display import STEPS, badge, counted, duration, process
from backup_tasks.ledger.rows import is_live
from backup_tasks.models import Run, Step
from backup_tasks.runs.chains import PARAMS

_EXPECTED_WAIT = timedelta(seconds=20)
"""The page says why a step may be waiting that no worker has taken for longer than this."""

_MOMENTS = (
    ("before", "before"),
    ("after_reinit", "after reinit"),
    ("after", "after"),
    ("expected", "expected"),
)


@dataclass(frozen=True, kw_only=True)
class TimelineEntry:
    """A step on the run's page."""

    step: Step
    state: str
    """Key of `display.STATES`."""
    badge: SafeString
    purpose: str
    took: str
    worker: str
    note: str
    """What the page says about it now."""
    done: int | None
    """Progress; None where the step is not at work or has not reported any."""
    total: int | None

    @property
    def how_far(self) -> str:
        """The progress in words."""
        if not self.done:
            return ""
        return f"{self.done:,} of {self.total:,}" if self.total else f"{self.done:,} so far"


@dataclass(frozen=True, kw_only=True)
class Row:
    """The rows of one model, or the files, at the moments that the table shows."""

    name: str
    figures: list[str]
    equal: bool | None
    """Whether the content digests are the same; None where nobody compared."""
    difference: str
    """In words; empty where there is none."""
    is_empty: bool
    """Whether there is nothing to see: no row at any moment."""


@dataclass(frozen=True, kw_only=True)
class Table:
    """The figures of a run."""

    moments: list[str] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    """Models that have rows, then the files."""
    empty: list[Row] = field(default_factory=list)
    """Models without a row at any moment."""
    compared: bool = False


def timeline_of(run: Run, steps: list[Step]) -> list[TimelineEntry]:
    """Return an entry for each step, in order."""
    expected_since = run.started_at or run.created_at
    entries = []
    for step in steps:
        state = state_of(run, step)
        at_work = state in ("running", "stopping")
        entries.append(
            TimelineEntry(
                step=step,
                state=state,
                badge=badge(state),
                purpose=STEPS.get(step.name, ""),
                took=duration(step.started_at, step.finished_at)
                if step.finished_at or at_work
                else "–",
                worker=process(step.owner),
                note=_note(run, step, state, expected_since),
                done=step.progress.get("done") if at_work else None,
                total=step.progress.get("total") if at_work else None,
            )
        )
        expected_since = step.finished_at or expected_since
    return entries


def state_of(run: Run, step: Step) -> str:
    """Return the step's state as people see it, a key of `display.STATES`.

    A step that is still pending in a run that has ended never ran (C8).
    """
    ended = run.state not in Run.ACTIVE
    if step.state == Step.State.RUNNING:
        if not is_live(step):
            return "unfinished" if ended else "lost"
        return "stopping" if ended else "running"
    if step.state == Step.State.PENDING:
        if ended:
            return "unfinished" if step.attempt else "not-run"
        return "retrying" if step.error else "pending"
    return step.state


def _note(run: Run, step: Step, state: str, expected_since: datetime) -> str:
    if state == "running":
        return str(step.progress.get("note", ""))
    if state == "lost":
        if run.on_workers:
            return "Another worker takes it over as soon as that is noticed, within minutes."
        return "The command that ran it has ended. Resume hands the run to the workers."
    if state == "retrying" and step.error:
        return f"The last attempt failed: {step.error.get('what', '')}"
    waiting_since = moments.now() - expected_since
    if state == "pending" and step == ledger.current_step(run) and waiting_since > _EXPECTED_WAIT:
        if not run.on_workers:
            return "The command that runs it has not come to it yet."
        return (
            f"No worker has taken it for {duration(expected_since, None)}. Does a worker run that "
            "serves the queue “backups”?"
        )
    return ""


def table_of(report: Mapping[str, Any]) -> Table:
    """Return the figures of `Run.report`, by model name; jsonb keeps no order of its own."""
    named = dict(sorted(report.get("models", {}).items()))
    files = report.get("files") or {}
    figures = {**named, "files": files}
    moments = [
        (key, title)
        for key, title in _MOMENTS
        if any(entry.get(key) is not None for entry in figures.values())
    ]
    if not moments:
        return Table()
    rows = [_row(name, entry, [key for key, _ in moments]) for name, entry in figures.items()]
    return Table(
        moments=[title for _, title in moments],
        rows=[row for row in rows if not row.is_empty or row.name == "files"],
        empty=[row for row in rows if row.is_empty and row.name != "files"],
        compared=any(row.equal is not None for row in rows),
    )


def not_compared(run: Run, steps: Sequence[Step]) -> str:
    """Return why nothing is compared yet, or at all, in a sentence."""
    step = next((each for each in steps if each.name == "validate"), None)
    if step is None:
        return "Nothing was restored by this run, so nothing is compared."
    if run.state in Run.ACTIVE:
        return "Compared at step validate, which has not ended yet."
    return "The run ended before step validate, so nothing was compared."


def _row(name: str, entry: Mapping[str, Any], moments: list[str]) -> Row:
    figures = [entry.get(key) for key in moments]
    difference = _difference(entry)
    return Row(
        name=name,
        figures=[counted(figure) for figure in figures],
        equal=entry.get("digest_equal"),
        difference=difference,
        is_empty=not any(figures) and not difference,
    )


def _difference(entry: Mapping[str, Any]) -> str:
    after, expected = entry.get("after"), entry.get("expected")
    if after is not None and expected is not None and after != expected:
        return f"{expected:,} expected, {after:,} restored"
    if entry.get("digest_equal") is False:
        return "the content differs"
    return ""


def asked_for(run: Run) -> Iterator[tuple[str, object]]:
    """Yield what was asked for beyond the defaults and the package, as (parameter, value)."""
    return parameters(run.kind, {k: v for k, v in run.params.items() if v != run.package})


def parameters(kind: str, params: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    """Yield what is not the default of that kind of run, as (parameter, value)."""
    defaults = PARAMS.get(kind, {})
    for name, value in params.items():
        if value != defaults.get(name):
            yield name.replace("_", " "), ", ".join(value) if isinstance(value, list) else value
