"""`cancel_run`: ends a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.management.base import CommandParser

from backup_tasks import ledger
from backup_tasks.management.base import Command as Base
from backup_tasks.management.base import outcome, said
from backup_tasks.runs import chains


class Command(Base):
    help = "Cancel a run. A step at work stops within seconds; live is never half changed."

    def add_options(self, parser: CommandParser) -> None:
        parser.add_argument("run", type=said, help="The run's id; `runs` lists them.")

    def perform(self, options: Mapping[str, Any]) -> None:
        self.run_id = options["run"]
        run = chains.cancel(options["run"])
        note = " Its present step stops within seconds." if ledger.is_at_work(run) else ""
        self.tell(outcome(run), f"{run.pk} is cancelled.{note}")
