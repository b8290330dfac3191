"""`prune_packages`: removes what the retention does not keep."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.management.base import CommandParser

from backup_tasks.management.base import RunCommand
from backup_tasks.management.tables import table
from backup_tasks.models import Run


class Command(RunCommand):
    help = "Remove the packages that the retention does not keep."
    kind = Run.Kind.PRUNE

    def add_options(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--dry-run",
            action="store_true",
            help="Say of each package why it stays or goes; remove nothing.",
        )

    def params(self, options: Mapping[str, Any]) -> dict[str, Any]:
        return {"dry_run": options["dry_run"]}

    def more(self, run: Run) -> dict[str, Any]:
        result = _result(run)
        return {
            "dry_run": run.params["dry_run"],
            "removed": list(result.get("removed", [])),
            "packages": list(result.get("packages", [])),
        }

    def summary(self, run: Run) -> str:
        told = _result(run)
        names, explained = list(told.get("removed", [])), told.get("packages", [])
        verb = "would be removed" if run.params["dry_run"] else "removed"
        packages = "package" if len(names) == 1 else "packages"
        rows = [
            [each["name"], each["store"], "kept" if each["kept"] else verb, each["why"]]
            for each in explained
        ]
        lines = [table(["package", "store", "decision", "why"], rows, left=4)] if rows else names
        return "\n".join([*lines, f"{len(names)} {packages} {verb}"])


def _result(run: Run) -> dict[str, Any]:
    result: dict[str, Any] = run.steps.get(name="prune").result
    return result
