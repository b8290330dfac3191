"""`restore_from_package`: replaces live with the content of a package, once that is proven."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.management.base import CommandParser

from backup_tasks.errors import Misconfigured
from backup_tasks.management.base import RunCommand, said
from backup_tasks.management.dry_run import tell_plan
from backup_tasks.management.merge_plan import add_merge_options, merge_params, merge_text
from backup_tasks.management.packages import (
    add_part_options,
    add_reading_options,
    add_rebuild_option,
    add_republish_option,
    reading_params,
)
from backup_tasks.models import Run
from backup_tasks.restore.named_objects import object_of


class Command(RunCommand):
    help = "Restore a package: into a staging first, and in live's place only if all is equal."
    kind = Run.Kind.RESTORE
    destructive = True
    needs_database = False  # a dry run tells what the package holds without one; a run asks for it

    def add_options(self, parser: CommandParser) -> None:
        parser.add_argument(
            "package",
            nargs="?",
            type=said,
            help="Its name in the store, or its path; default: the last good backup.",
        )
        parser.add_argument("--type", choices=["full", "database", "files"], default="full")
        parser.add_argument(
            "--database",
            default="",
            metavar="ALIAS",
            help="With --type database: only this one of several databases.",
        )
        parser.add_argument(
            "--mode",
            choices=["exact", "merge"],
            default="exact",
            help="exact: live becomes the package. merge: the package's rows go into live's.",
        )
        add_merge_options(parser)
        parser.add_argument(
            "--object",
            action="append",
            default=[],
            type=said,
            metavar="APP.MODEL=KEY",
            help="A merge: only this object, by natural key, and what it needs. May be repeated.",
        )
        parser.add_argument(
            "--dry-run", action="store_true", help="Say what would happen; change nothing."
        )
        parser.add_argument(
            "--no-safety-backup", action="store_true", help="Do not back up live first."
        )
        add_part_options(parser)
        parser.add_argument(
            "--replace-referenced",
            action="store_true",
            help="With --include: replace the models, too, that the rows only refer to.",
        )
        add_reading_options(parser)
        add_rebuild_option(parser)
        add_republish_option(parser)

    def perform(self, options: Mapping[str, Any]) -> None:
        if not options["dry_run"]:
            super().perform(options)
        elif options["mode"] == "merge":
            self.start(options)  # a run that changes nothing of live
        else:
            tell_plan(self, self.kind, self.params(options))

    def params(self, options: Mapping[str, Any]) -> dict[str, Any]:
        merging = merge_params(options)
        rehearsal = options["mode"] == "merge" and options["dry_run"]
        return (
            reading_params(options)
            | {
                "type": options["type"],
                "database": options["database"],
                "include": options["include"],
                "exclude": options["exclude"],
                "objects": _objects(options),
                "replace_referenced": options["replace_referenced"],
                "mode": options["mode"],
                "safety": not (options["no_safety_backup"] or rehearsal),
                "promote": not rehearsal,
                "rebuild": options["rebuild"],
                "republish": options["republish"],
            }
            | merging
        )

    def more(self, run: Run) -> dict[str, Any]:
        plan = run.report.get("merge")
        return {"merge": plan} if plan else {}

    def summary(self, run: Run) -> str:
        plan = run.report.get("merge")
        if not plan:
            return super().summary(run)
        done = (
            "Nothing of live was changed."
            if run.params["promote"] is False
            else super().summary(run)
        )
        return f"{merge_text(plan)}\n{done}"


def _objects(options: Mapping[str, Any]) -> list[str]:
    """Return the names of the objects. Raises Misconfigured."""
    named: list[str] = options["object"]
    for text in named:
        object_of(text)
    if named and options["mode"] != "merge":
        raise Misconfigured(
            "--object names what a merge takes", hint="Say --mode merge as well, or leave it out."
        )
    return named
