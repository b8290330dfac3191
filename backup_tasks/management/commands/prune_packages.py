"""`prune_packages`: removes what the retention does not keep."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.management.base import CommandParser

from backup_tasks.management.base import RunCommand
from backup_tasks.models import Run


class Command(RunCommand):
    help = "Remove the packages that the retention does not keep."
    kind = Run.Kind.PRUNE

    def add_options(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--dry-run", action="store_true", help="Say what would be removed; remove nothing."
        )

    def params(self, options: Mapping[str, Any]) -> dict[str, Any]:
        return {"dry_run": options["dry_run"]}

    def more(self, run: Run) -> dict[str, Any]:
        return {"dry_run": run.params["dry_run"], "removed": _removed(run)}

    def summary(self, run: Run) -> str:
        verb = "would be removed" if run.params["dry_run"] else "removed"
        names = _removed(run)
        packages = "package" if len(names) == 1 else "packages"
        return "\n".join([*names, f"{len(names)} {packages} {verb}"])


def _removed(run: Run) -> list[str]:
    return list(run.steps.get(name="prune").result.get("removed", []))
