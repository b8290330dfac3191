"""What a run means for the system, in sentences: what was proven, and whether live was replaced."""

from __future__ import annotations

from dataclasses import dataclass

from django.utils import timezone
from django.utils.formats import date_format

from backup_tasks import ledger
from backup_tasks.admin.read_only import START_BACKUP, START_RESTORE
from backup_tasks.models import Run, Step, UndoPoint
from backup_tasks.restore.undo_points import files_in_words
from backup_tasks.runs import chains


@dataclass(frozen=True, kw_only=True)
class RunSummary:
    """What a run's page says first."""

    outcome: str
    live: str
    """What became of live data; empty where the run never meant to touch it."""
    undo: UndoPoint | None
    """The state that the run replaced, while it can be brought back."""
    next: str
    """The step that resuming begins with; empty where all are finished."""


def writes_live(run: Run) -> bool:
    """Whether the run replaces live data, if it gets that far."""
    return chains.writes_live(run.kind, run.params)


def permission_for(run: Run) -> str:
    """Return the permission that resuming or cancelling the run takes."""
    return START_RESTORE if writes_live(run) else START_BACKUP


def last_undo_point() -> UndoPoint | None:
    """Return the state that an undo would bring back. After a merge there is none."""
    points = UndoPoint.objects.filter(undone_at=None).select_related("run")
    last = points.order_by("-created_at").first()
    return last if last is not None and last.schema else None


def summary_of(run: Run, steps: list[Step]) -> RunSummary:
    """Return what the run means now."""
    point = UndoPoint.objects.filter(run_id=run.pk).first()
    last = last_undo_point()
    unfinished = next((step.name for step in steps if step.state != Step.State.SUCCEEDED), "")
    return RunSummary(
        next=unfinished,
        outcome=_outcome(run, steps),
        live=_live(run, steps, point) if writes_live(run) else "",
        undo=point if point is not None and last is not None and point.pk == last.pk else None,
    )


def _outcome(run: Run, steps: list[Step]) -> str:
    unfinished = next((step for step in steps if step.state != Step.State.SUCCEEDED), None)
    if run.state in Run.ACTIVE and unfinished is not None:
        if run.state == Run.State.PENDING and not unfinished.attempt:
            return "Waiting for a worker." if run.on_workers else "Waiting for its command."
        return f"At step {unfinished.position + 1} of {len(steps)}: {unfinished.name}."
    if run.state == Run.State.FAILED:
        return f"Failed at step {unfinished.name}." if unfinished else "Failed."
    if run.state == Run.State.CANCELLED:
        if ledger.is_at_work(run):
            return "Cancelled. The step at work stops as soon as that is safe."
        return "Cancelled."
    if run.state == Run.State.SUCCEEDED:
        return _proven(run, {step.name: step.result for step in steps})
    return ""


def _proven(run: Run, results: dict[str, dict[str, object]]) -> str:
    if run.kind in (Run.Kind.BACKUP, Run.Kind.VERIFY):
        made = (
            "The package was made and read back" if run.kind == Run.Kind.BACKUP else "It was read"
        )
        if results.get("verify", {}).get("checked") == "bytes":
            return (
                f"{made}: every byte is what was written. Its content could not be looked at: it "
                "is encrypted, and the workers have no key."
            )
        return f"{made}: every row and file is what its manifest says."
    if run.kind == Run.Kind.DRILL:
        return "The package restores: every model and file was proven equal to what was backed up."
    if "merge" in results:
        return "Merged: every row of the package was proven to be in live as it should be."
    if "rehearse" in results:
        return "Rehearsed: the plan says what a merge would do."
    if run.kind in (Run.Kind.RESTORE, Run.Kind.CYCLE):
        return "Restored: every model and file was proven equal to what was backed up."
    if run.params.get("dry_run"):
        return "A dry run: nothing was removed. Below is what would be, and why."
    return {
        Run.Kind.REINIT.value: "The system is reset to its defaults.",
        Run.Kind.UNDO.value: "What the last restore or reset replaced is live again.",
        Run.Kind.PRUNE.value: "Packages that are no longer to be kept were removed.",
    }.get(run.kind, "Done.")


def _live(run: Run, steps: list[Step], point: UndoPoint | None) -> str:
    """The undo point is written in the promote's own transaction: it tells the truth about live,
    whatever became of the step."""
    if point is not None:
        at = date_format(timezone.localtime(point.created_at), "Y-m-d H:i:s T")
        if point.undone_at is not None:
            undone = date_format(timezone.localtime(point.undone_at), "Y-m-d H:i:s T")
            return f"Live data was replaced at {at}, and that was undone at {undone}."
        if not point.schema and point.files_done:
            return (
                f"The package was merged into live data at {at}. Nothing is kept for an undo; the "
                "safety package holds what was there before."
            )
        if not point.files_done:
            return (
                f"The rows of live were replaced at {at}; the files are not all in place yet. "
                "Resume this run to finish it."
            )
        until = date_format(timezone.localtime(point.expires_at), "Y-m-d H:i T")
        files = files_in_words(point)
        return (
            f"Live data was replaced at {at} (storages whose files were replaced too: {files}). "
            f"It can be undone until {until}."
        )
    if any(
        step.name in chains.WRITES_LIVE and step.state == Step.State.SUCCEEDED for step in steps
    ):
        return "Live data was replaced. What it replaced has been removed since."
    if run.state in Run.ACTIVE:
        return "Live data has not been touched yet. People can go on working."
    return "Live data was not touched."
