"""`unpin_package`: lets the retention decide on a package again."""

from __future__ import annotations

from django.core.management.base import CommandParser

from backup_tasks.management.commands.pin_package import Command as PinCommand


class Command(PinCommand):
    help = "Let the retention decide on a package again that was pinned."
    pinned = False

    def add_options(self, parser: CommandParser) -> None:
        parser.add_argument("package", help="Its name in the store.")
