"""`list_packages`: tells what packages the stores hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.management.base import CommandParser

from backup_tasks.management.base import Command as Base
from backup_tasks.management.base import outcome
from backup_tasks.management.tables import size_text, table
from backup_tasks.package.sidecar import Sidecar
from backup_tasks.storage import catalogue


class Command(Base):
    help = "List the packages in the stores, newest first. No key is needed."

    def add_options(self, parser: CommandParser) -> None:
        pass

    def perform(self, options: Mapping[str, Any]) -> None:
        found = [_record(store, sidecar) for store, sidecar in catalogue.refresh()]
        self.tell({**outcome(None), "packages": found}, _text(found))


def _record(store: str, sidecar: Sidecar) -> dict[str, Any]:
    return {
        "name": sidecar.name,
        "store": store,
        "id": sidecar.id,
        "created_at": sidecar.created_at,
        "type": sidecar.type,
        "size": sidecar.size,
        "sha256": sidecar.sha256,
        "rows": sidecar.totals.rows,
        "files": sidecar.totals.files,
        "encrypted": sidecar.encrypted,
        "signed": sidecar.signature is not None,
    }


def _text(found: list[dict[str, Any]]) -> str:
    if not found:
        return "There are no packages. `create_backup` makes one."
    rows = [
        [
            package["name"],
            package["type"],
            "yes" if package["encrypted"] else "no",
            "yes" if package["signed"] else "no",
            size_text(package["size"]),
            f"{package['rows']:,}",
            f"{package['files']:,}",
        ]
        for package in found
    ]
    head = ["package", "type", "encrypted", "signed", "size", "rows", "files"]
    return table(head, rows, left=4)
