"""`pin_package`: keeps a package, whatever the retention says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.management.base import CommandParser

from backup_tasks.evidence import audit
from backup_tasks.management.base import Command as Base
from backup_tasks.management.base import outcome, said
from backup_tasks.storage import catalogue, verdicts


class Command(Base):
    help = "Keep a package, whatever the retention says, until `unpin_package`."
    pinned = True

    def add_options(self, parser: CommandParser) -> None:
        parser.add_argument("package", type=said, help="Its name in the store.")
        parser.add_argument("--reason", default="", help="Why; shown with the package.")

    def perform(self, options: Mapping[str, Any]) -> None:
        _, sidecar = catalogue.find(options["package"])
        verdicts.set_pin(
            sidecar.sha256,
            pinned=self.pinned,
            by=audit.os_user(),
            reason=options.get("reason") or "",
        )
        audit.record(
            "pinned" if self.pinned else "unpinned",
            sidecar.name,
            through="command",
            details={"sha256": sidecar.sha256, "reason": options.get("reason") or ""},
        )
        record = {"package": sidecar.name, "pinned": self.pinned}
        state = "pinned: no prune removes it" if self.pinned else "no longer pinned"
        self.tell({**outcome(None), **record}, f"{sidecar.name} is {state}.")
