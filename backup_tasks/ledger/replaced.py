"""Which runs have replaced a part of live, and not yet all of it. Only reads."""

from __future__ import annotations

from collections.abc import Sequence

from backup_tasks.engines import Engine
from backup_tasks.models import Run, UndoPoint


def not_undone() -> list[UndoPoint]:
    """Return the undo points that nobody has used, the oldest first, with their runs."""
    points = UndoPoint.objects.filter(undone_at=None).select_related("run").defer("run__report")
    return list(points.order_by("created_at"))


def half_done(points: Sequence[UndoPoint] | None = None) -> list[str]:
    """Return the runs that have replaced a part of live: not each database, or not all files.
    `points`: `not_undone`, where the caller has it."""
    points = not_undone() if points is None else points
    return [point.run_id for point in points if not point.files_done]


def runs_in_doubt(engine: Engine) -> set[str]:
    """Return the runs that died between the swap and its record in the ledger. Live has their rows
    and needs their files, so they must be resumed."""
    recorded = UndoPoint.objects.values_list("schema", flat=True)
    unrecorded = set(engine.schemas()).difference(recorded)
    doubtful = {schema for schema in unrecorded if engine.in_doubt(schema)}
    if not doubtful:
        return set()
    runs = Run.objects.values_list("pk", flat=True)
    return {pk for pk in runs if engine.schema_name("undo", pk) in doubtful}
