"""`adopt_installation`: counts another installation's packages as this system's own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.management.base import CommandParser

from backup_tasks.evidence import audit
from backup_tasks.management.base import Command as Base
from backup_tasks.management.base import outcome, said
from backup_tasks.storage import installation


class Command(Base):
    help = (
        "Count the packages of another installation as this system's own, for example after a "
        "disaster: the retention weighs them too, then."
    )

    def add_options(self, parser: CommandParser) -> None:
        parser.add_argument(
            "installation", type=said, help="Its id; `prune_packages --dry-run` names it."
        )

    def perform(self, options: Mapping[str, Any]) -> None:
        code = options["installation"]
        installation.adopt(code)
        audit.record("adopted", f"installation {code}", through="command")
        own = sorted(installation.own_installations())
        text = f"Packages of installation {code} count as this system's own."
        self.tell({**outcome(None), "installations": own}, text)
