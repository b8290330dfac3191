"""`backup_cycle`: backs up, resets and restores into staging, and proves that all is equal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.management.base import CommandParser

from backup_tasks.management.base import RunCommand
from backup_tasks.management.packages import add_rebuild_option, add_republish_option
from backup_tasks.models import Run


class Command(RunCommand):
    help = "Back up, build a reset system beside the live one, restore into it, and compare."
    kind = Run.Kind.CYCLE

    def add_options(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--promote",
            action="store_true",
            help="Put the restored system in live's place. Without it, it is discarded.",
        )
        add_rebuild_option(parser)
        add_republish_option(parser)

    def params(self, options: Mapping[str, Any]) -> dict[str, Any]:
        return {name: options[name] for name in ("promote", "rebuild", "republish")}
