"""`--dry-run`: tells what a run would do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.management.base import CommandError

from backup_tasks.errors import ErrorRecord
from backup_tasks.management.base import Command, outcome
from backup_tasks.management.tables import added_lines, table
from backup_tasks.restore.plan import plan_restore
from backup_tasks.runs.chains import PARAMS


def tell_plan(command: Command, kind: str, params: Mapping[str, Any]) -> None:
    """Print what a restore or a reinit with these parameters would do. Raises what it would raise
    before it changes anything.

    Where the database can't be asked, it prints what is known without, and ends with the exit code
    that the restore would end with.
    """
    plan = plan_restore({**PARAMS[kind], **params})
    problem: ErrorRecord | None = plan.pop("problem", None)
    record = {**outcome(None), "dry_run": True, "plan": plan}
    if problem:
        record |= {"ok": False, "errors": [problem]}
    command.tell(record, _text(plan))
    if problem:
        hint = f"\nHint: {problem['hint']}" if problem["hint"] else ""
        raise CommandError(
            "the package is whole and can be opened. Whether it fits the database, and what a "
            f"restore would change there, is not known: {problem['what']}{hint}",
            returncode=problem["exit_code"],
        )


def _text(plan: Mapping[str, Any]) -> str:
    """A table of the counts, then a line for everything else."""
    counted = {**plan["models"], "files": plan["files"]}
    compared = any(count.get("equal") is not None for count in counted.values())
    rows = [
        [name, _told(count["now"]), _told(count["then"])]
        + ([_told(count.get("equal"))] if compared else [])
        for name, count in counted.items()
    ]
    others = [
        f"{name.replace('_', ' ')}: {_told(value)}"
        for name, value in plan.items()
        if name not in ("models", "files", "warnings", "added", "referred")
    ]
    others += added_lines(plan.get("added", {}))
    others += [
        f"{name} stays as it is: {found['why']}; equal: {_told(found['equal'])}"
        for name, found in plan.get("referred", {}).items()
    ]
    warnings = [f"Warning: {line}" for line in plan["warnings"]]
    head = table(["model", "now", "then", *(["equal"] if compared else [])], rows)
    return "\n".join([head, *others, *warnings, "Nothing was changed."])


def _told(value: object) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return f"{value:,}" if isinstance(value, int) else str(value)
