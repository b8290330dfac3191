"""`resume_run`: goes on with a run that failed or was abandoned."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.management.base import CommandParser

from backup_tasks import ledger
from backup_tasks.management.base import RunCommand, said
from backup_tasks.runs import chains


class Command(RunCommand):
    help = "Go on with a run that failed or was abandoned, from its first unfinished step."

    def add_options(self, parser: CommandParser) -> None:
        parser.add_argument("run", type=said, help="The run's id; `runs` lists them.")

    def perform(self, options: Mapping[str, Any]) -> None:
        self.go_on(chains.resume(options["run"], on_workers=options["enqueue"]))

    def params(self, options: Mapping[str, Any]) -> dict[str, Any]:
        return dict(ledger.find(options["run"]).params)
