"""`system_reinit`: resets the system to its defaults."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.management.base import CommandParser

from backup_tasks.management.base import RunCommand
from backup_tasks.management.dry_run import tell_plan
from backup_tasks.management.packages import add_rebuild_option, add_republish_option
from backup_tasks.models import Run


class Command(RunCommand):
    help = "Reset the system to its defaults: an empty schema with what migrations and SEED make."
    kind = Run.Kind.REINIT
    destructive = True

    def add_options(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--dry-run", action="store_true", help="Say what would happen; change nothing."
        )
        parser.add_argument(
            "--no-safety-backup", action="store_true", help="Do not back up live first."
        )
        add_rebuild_option(parser)
        add_republish_option(parser)

    def perform(self, options: Mapping[str, Any]) -> None:
        if options["dry_run"]:
            tell_plan(self, self.kind, self.params(options))
        else:
            super().perform(options)

    def params(self, options: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "safety": not options["no_safety_backup"],
            "rebuild": options["rebuild"],
            "republish": options["republish"],
        }
