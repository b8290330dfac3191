"""`restore_from_package`: puts a package's content in live's place, once it is proven."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.management.base import CommandParser

from backup_tasks.management.base import RunCommand
from backup_tasks.management.dry_run import tell_plan
from backup_tasks.management.packages import (
    add_part_options,
    add_reading_options,
    reading_params,
)
from backup_tasks.models import Run


class Command(RunCommand):
    help = "Restore a package: into a staging first, and in live's place only if all is equal."
    kind = Run.Kind.RESTORE
    destructive = True

    def add_options(self, parser: CommandParser) -> None:
        parser.add_argument("package", help="Path of the package, or its name in the store.")
        parser.add_argument("--type", choices=["full", "database", "files"], default="full")
        parser.add_argument(
            "--mode", choices=["exact"], default="exact", help="exact: live becomes the package."
        )
        parser.add_argument(
            "--dry-run", action="store_true", help="Say what would happen; change nothing."
        )
        parser.add_argument(
            "--no-safety-backup", action="store_true", help="Do not back up live first."
        )
        add_part_options(parser)
        add_reading_options(parser)

    def perform(self, options: Mapping[str, Any]) -> None:
        if options["dry_run"]:
            tell_plan(self, self.kind, self.params(options))
        else:
            super().perform(options)

    def params(self, options: Mapping[str, Any]) -> dict[str, Any]:
        return reading_params(options) | {
            "type": options["type"],
            "include": options["include"],
            "exclude": options["exclude"],
            "mode": options["mode"],
            "safety": not options["no_safety_backup"],
        }
