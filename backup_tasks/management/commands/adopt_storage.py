"""`adopt_storage`: accepts a storage, or a workspace, that replaces the one before."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.management.base import CommandParser

from backup_tasks.backup import storage_ids
from backup_tasks.errors import Misconfigured
from backup_tasks.evidence import audit
from backup_tasks.management.base import Command as BackupCommand
from backup_tasks.management.base import said


class Command(BackupCommand):
    help = "Expect from now on the storage, or the workspace, that this machine has."

    def add_options(self, parser: CommandParser) -> None:
        parser.add_argument(
            "storage", nargs="?", type=said, metavar="ALIAS", help="One of FILE_STORAGES."
        )
        parser.add_argument("--workspace", action="store_true", help="The workspace instead.")

    def perform(self, options: Mapping[str, Any]) -> None:
        alias = options["storage"]
        if bool(alias) == options["workspace"]:
            raise Misconfigured(
                "name one storage, or say --workspace",
                hint="BACKUP['FILE_STORAGES'] has the aliases of the storages.",
            )
        row, given_up = storage_ids.adopt(alias)
        audit.record("adopted", row.name, through="command", details={"id": row.value})
        lost = f" Can't be undone any more: {', '.join(given_up)}." if given_up else ""
        self.tell(
            {"name": row.name, "id": row.value, "host": row.host, "given_up": given_up},
            f"From now on, every worker must find the {row.name} with the id {row.value}.{lost}",
        )
