"""`verify_package`: reads a package to its end and checks all that it says of itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.management.base import CommandParser

from backup_tasks.conf import backup_settings
from backup_tasks.engines import require_database
from backup_tasks.error_classification import LEDGER_ERRORS, explain
from backup_tasks.ledger import report
from backup_tasks.management.base import RunCommand, outcome, said
from backup_tasks.management.packages import add_reading_options, reading_params
from backup_tasks.management.progress import ProgressDisplay
from backup_tasks.models import Run
from backup_tasks.runs import chains
from backup_tasks.runs.foreground import run_unrecorded
from backup_tasks.storage import workspace


class Command(RunCommand):
    help = "Read a package to its end and check every row, file and sum against its manifest."
    kind = Run.Kind.VERIFY
    needs_database = False  # a package is read by itself

    def add_options(self, parser: CommandParser) -> None:
        parser.add_argument(
            "package", type=said, help="Path of the package, or its name in the store."
        )
        add_reading_options(parser)

    def params(self, options: Mapping[str, Any]) -> dict[str, Any]:
        return reading_params(options)

    def start(self, options: Mapping[str, Any]) -> None:
        """Start the run. Where the ledger can't take it, verify all the same, and say so: an
        operator who has lost the database must know which packages are sound."""
        params = self.params(options)
        try:
            require_database(backup_settings().database)
            run = chains.start(
                self.kind, trigger="command", on_workers=options["enqueue"], params=params
            )
        except LEDGER_ERRORS as error:
            if options["enqueue"]:
                raise
            self._verify_unrecorded(params, f"not recorded in the ledger: {explain(error)}")
        else:
            self.go_on(run)

    def more(self, run: Run) -> dict[str, Any]:
        return {"recorded": bool(run.pk)}

    def _verify_unrecorded(self, params: Mapping[str, Any], problem: str) -> None:
        watcher = ProgressDisplay(self.stderr_stream())
        with workspace.scratch() as folder:
            results = run_unrecorded(self.kind, params, folder=folder, watcher=watcher)
        figures = report.build(results)
        figures["warnings"] = [*figures["warnings"], problem]
        run = Run(
            pk="",
            kind=self.kind,
            state=Run.State.SUCCEEDED,
            package=report.package_of(results),
            report=figures,
        )
        self.tell(outcome(run) | self.more(run), self._text(run))

    def summary(self, run: Run) -> str:
        return super().summary(run) if run.pk else f"verified: {run.package}"
