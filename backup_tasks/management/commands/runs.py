"""`runs`: lists runs, with the progress of those that are active."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from django.core.management.base import CommandParser
from django.utils import timezone

from backup_tasks.management.base import Command as Base
from backup_tasks.management.base import count, outcome
from backup_tasks.management.progress import progress_text
from backup_tasks.management.tables import table
from backup_tasks.models import Run, Step

_PAUSE = 1.0


class Command(Base):
    help = "List the newest runs; with --watch, follow the active ones until they have ended."

    def add_options(self, parser: CommandParser) -> None:
        parser.add_argument("--watch", action="store_true", help="Follow the active runs.")
        parser.add_argument("--limit", type=count, default=20, help="How many to list (20).")

    def perform(self, options: Mapping[str, Any]) -> None:
        if options["watch"]:
            self._watch()
        found = list(Run.objects.prefetch_related("steps")[: options["limit"]])
        self.tell({**outcome(None), "runs": [_record(run) for run in found]}, _text(found))

    def _watch(self) -> None:
        """Write a line to stderr whenever something has changed, until no run is active."""
        told: dict[str, str] = {}
        while active := list(Run.objects.filter(state__in=Run.ACTIVE).prefetch_related("steps")):
            for run in active:
                line = f"{run.pk}  {_where(run)}"
                if told.get(run.pk) != line:
                    self.stderr.write(line)
                told[run.pk] = line
            time.sleep(_PAUSE)


def _record(run: Run) -> dict[str, Any]:
    return {
        "run": run.pk,
        "kind": run.kind,
        "state": run.state,
        "package": run.package or None,
        "dry_run": _is_dry(run),
        "trigger": run.trigger,
        "created_at": run.created_at,
        "finished_at": run.finished_at,
        "error": run.error,
        "steps": [
            {
                "name": step.name,
                "state": step.state,
                "attempts": step.attempt,
                "progress": step.progress,
                "error": step.error,
            }
            for step in run.steps.all()
        ],
    }


def _where(run: Run) -> str:
    if run.state not in Run.ACTIVE:
        ended = str((run.error or {}).get("what", ""))
        return f"dry run: nothing was removed. {ended}".rstrip() if _is_dry(run) else ended
    step = next((step for step in run.steps.all() if step.state != Step.State.SUCCEEDED), None)
    if step is None:
        return ""
    again = f" (attempt {step.attempt})" if step.attempt > 1 else ""
    figures = step.progress or {}
    how_far = progress_text(
        int(figures.get("done", 0)), figures.get("total"), str(figures.get("note", ""))
    )
    dry = "dry run: " if _is_dry(run) else ""
    return f"{dry}{step.name} {step.state}{again} {how_far}".rstrip()


def _is_dry(run: Run) -> bool:
    return bool(run.params.get("dry_run"))


def _text(found: list[Run]) -> str:
    if not found:
        return "There are no runs yet."
    rows = [
        [
            run.pk,
            run.state,
            timezone.localtime(run.created_at).strftime("%Y-%m-%d %H:%M:%S"),
            run.package,
            _where(run),
        ]
        for run in found
    ]
    return table(["run", "state", "started", "package", "where"], rows, left=5)
