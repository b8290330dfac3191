"""Keeps the undo points of several runs in order: only the latest may still touch live."""

from __future__ import annotations

from django.utils import timezone

from backup_tasks.errors import Permanent
from backup_tasks.models import UndoPoint


def supersede_unfinished() -> None:
    """In the transaction of a promote: an earlier run that failed before all its files were in
    place is not to be finished any more, nor undone. What it made is what this one replaces."""
    unfinished = UndoPoint.objects.filter(files_done=False)
    unfinished.update(files_done=True, undone_at=timezone.now())


def refuse_superseded(point: UndoPoint) -> None:
    """Raise Permanent if live was replaced again since the run of this point replaced it."""
    if point.undone_at is not None:
        raise Permanent(
            "a later run has replaced live since: finishing this one would mix their files",
            obj=point.pk,
            hint="Nothing is to be done. If you want its package, restore it again.",
        )
