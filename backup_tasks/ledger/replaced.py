"""Which runs have replaced a part of live, and not yet all of it. Only reads."""

from __future__ import annotations

from backup_tasks.engines import Engine
from backup_tasks.models import Run, UndoPoint


def half_done() -> list[str]:
    """Return the runs that have replaced a part of live: not each database, or not all files."""
    points = UndoPoint.objects.filter(files_done=False, undone_at=None)
    return list(points.order_by("created_at").values_list("run_id", flat=True))


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
