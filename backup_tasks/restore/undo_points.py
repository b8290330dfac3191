"""Undo points of several runs: only the latest run may still change live."""

from __future__ import annotations

from backup_tasks import moments
from backup_tasks.conf import backup_settings
from backup_tasks.engines import Engine
from backup_tasks.errors import AnotherRunActive, Permanent
from backup_tasks.ledger.replaced import runs_in_doubt
from backup_tasks.models import Run, UndoPoint


def last() -> UndoPoint | None:
    """Return the undo point of the run that replaced live last; None if it has expired."""
    return UndoPoint.objects.filter(undone_at=None).order_by("-created_at").first()


def files_in_words(point: UndoPoint) -> str:
    """Return in which storages the run changed files, in words."""
    if point.storages is None:
        return "not recorded"
    return ", ".join(point.storages) or "none"


def supersede_unfinished(engine: Engine, run_id: str) -> None:
    """Close the undo points of earlier runs that failed before all their files were swapped: they
    can neither be resumed nor undone, because this run replaces what they made. Call it in the
    transaction of the promote."""
    now = moments.now()
    UndoPoint.objects.filter(files_done=False).update(files_done=True, undone_at=now)
    for other in runs_in_doubt(engine) - {run_id}:
        UndoPoint.objects.create(
            run_id=other,
            schema=engine.schema_name("undo", other),
            tables=[],
            storages=[],
            expires_at=now + backup_settings().undo_for,  # late requests may need what it kept
            files_done=True,
            undone_at=now,
        )


def refuse_superseded(run_id: str) -> None:
    """Raise Permanent if a later run has replaced live."""
    if UndoPoint.objects.filter(pk=run_id).exclude(undone_at=None).exists():
        raise Permanent(
            "a later run has replaced live since: finishing this one would mix their files",
            obj=run_id,
            hint="Nothing is to be done. If you want its package, restore it again.",
        )


def refuse_changed(engine: Engine, run_id: str) -> None:
    """Raise Permanent if the run has changed live's rows, or may have."""
    if UndoPoint.objects.filter(pk=run_id).exists() or engine.in_doubt(
        engine.schema_name("undo", run_id)
    ):
        raise Permanent(
            "the run has replaced live's rows", obj=run_id, hint=f"Finish it: resume_run {run_id}"
        )


def refuse_while_live_is_written(run_id: str) -> None:
    """Raise AnotherRunActive if another run that writes to live is active, or the given run, whose
    undo point is to be removed."""
    writing = Run.objects.exclude(live_lock=None).exclude(pk=run_id)
    if active := (writing | Run.objects.filter(pk=run_id, state__in=Run.ACTIVE)).first():
        raise AnotherRunActive(
            "the run may be writing to live's files",
            obj=active.pk,
            hint="Prune again when it has ended.",
        )
