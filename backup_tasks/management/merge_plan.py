"""The options of a merge, and its plan as text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.management.base import CommandParser

from backup_tasks.errors import Misconfigured
from backup_tasks.management.tables import table
from backup_tasks.merge.policy import MISSING_USERS, ON_CONFLICT, Policy

_COLUMNS = ("insert", "update", "unchanged", "kept", "only_in_target")


def add_merge_options(parser: CommandParser) -> None:
    """Add the options that decide what a merge does not decide by itself."""
    parser.add_argument(
        "--on-conflict",
        choices=ON_CONFLICT,
        default="",
        help="A merge: whose row is taken where the two contradict each other. Else refused.",
    )
    parser.add_argument(
        "--map-user",
        action="append",
        default=[],
        metavar="OLD=NEW",
        help="A merge: this user of the package is that user of the target. May be repeated.",
    )
    parser.add_argument(
        "--missing-users",
        choices=MISSING_USERS,
        default="",
        help="A merge: what to refer to instead of users that neither side has. Else refused.",
    )


def merge_params(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the run's parameters for those options. Raises Misconfigured."""
    users: dict[str, str] = {}
    for text in options["map_user"]:
        old, separator, new = text.partition("=")
        if not (old and separator and new) or old in users:
            raise Misconfigured(
                f"--map-user {text} names no user of the package and one of the target, or the "
                "former twice",
                hint="Say --map-user OLD=NEW, with the names that they sign in with.",
            )
        users[old] = new
    params = {
        "on_conflict": options["on_conflict"],
        "map_users": users,
        "missing_users": options["missing_users"],
    }
    Policy.of({"mode": options["mode"], **params})
    return params


def merge_text(plan: Mapping[str, Any]) -> str:
    """Return the plan as a table, and a line for each thing that had or has to be decided."""
    rows = [
        [label, *(f"{figures[name]:,}" for name in _COLUMNS)]
        for label, figures in plan["models"].items()
    ]
    files = plan["files"]
    rows.append(
        ["files", f"{files['add']:,}", f"{files['replace']:,}", "–", f"{files['kept']:,}", "–"]
    )
    lines = [table(["merge", *(name.replace("_", " ") for name in _COLUMNS)], rows)]
    for label, figures in plan["models"].items():
        if figures["renumbered"]:
            lines.append(f"{label}: {figures['renumbered']:,} inserted under another primary key")
        lines += [
            f"{label}: {conflict['what']}: {conflict['rows']:,} rows "
            f"({'; '.join(conflict['examples'])}), {_decision(conflict['decided'])}"
            for conflict in figures["conflicts"]
        ]
    lines += [
        f"{stale['column']}: {stale['rows']:,} rows hold primary keys of {stale['target']} that "
        "change, and stay as they are: see KEY_COLUMNS"
        for stale in plan["stale_keys"]
    ]
    lines += [f"Warning: {line}" for line in plan["warnings"]]
    lines += [f"It would be refused: {line}" for line in plan["refused"]]
    return "\n".join(lines)


def _decision(decided: str) -> str:
    return f"decided for the {decided}'s" if decided else "undecided"
