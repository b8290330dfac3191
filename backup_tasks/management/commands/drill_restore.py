"""`drill_restore`: proves that a package restores, without touching live."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.management.base import CommandParser

from backup_tasks.management.base import RunCommand, said
from backup_tasks.management.packages import (
    add_reading_options,
    add_rebuild_option,
    reading_params,
)
from backup_tasks.models import Run


class Command(RunCommand):
    help = "Restore a package into a staging, compare everything, and discard the staging."
    kind = Run.Kind.DRILL

    def add_options(self, parser: CommandParser) -> None:
        parser.add_argument(
            "package",
            nargs="?",
            type=said,
            help="Name or path; default: the last good backup.",
        )
        add_reading_options(parser)
        add_rebuild_option(parser)

    def params(self, options: Mapping[str, Any]) -> dict[str, Any]:
        return reading_params(options) | {"rebuild": options["rebuild"]}
