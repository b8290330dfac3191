"""`undo_restore`: makes what the last restore or reset replaced live again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.management.base import CommandParser

from backup_tasks.management.base import RunCommand
from backup_tasks.management.packages import add_republish_option
from backup_tasks.models import Run


class Command(RunCommand):
    help = "Bring back what the last restore, reset or promoted cycle replaced."
    kind = Run.Kind.UNDO
    destructive = True

    def add_options(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--accept-missing-files",
            action="store_true",
            help="Go on if files that were kept for the undo are gone: live's files stay there.",
        )
        parser.add_argument(
            "--accept-lost-structure",
            action="store_true",
            help="Go on if live's tables got columns, indexes or the like since: they are lost.",
        )
        add_republish_option(parser)

    def params(self, options: Mapping[str, Any]) -> dict[str, Any]:
        names = ("accept_missing_files", "accept_lost_structure", "republish")
        return {name: options[name] for name in names}
