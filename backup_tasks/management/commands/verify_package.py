"""`verify_package`: reads a package to its end and checks all that it says of itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.management.base import CommandParser

from backup_tasks.management.base import RunCommand
from backup_tasks.management.packages import add_reading_options, reading_params
from backup_tasks.models import Run


class Command(RunCommand):
    help = "Read a package to its end and check every row, file and sum against its manifest."
    kind = Run.Kind.VERIFY

    def add_options(self, parser: CommandParser) -> None:
        parser.add_argument("package", help="Path of the package, or its name in the store.")
        add_reading_options(parser)

    def params(self, options: Mapping[str, Any]) -> dict[str, Any]:
        return reading_params(options)
