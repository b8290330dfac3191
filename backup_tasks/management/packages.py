"""The options of commands that read a package."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from backup_tasks.errors import KeyMissing
from backup_tasks.management.base import said
from backup_tasks.restore.open_package import is_file


def add_reading_options(parser: CommandParser) -> None:
    """Add the options that say where a package is, and how it is opened."""
    parser.add_argument(
        "--store",
        type=said,
        metavar="ALIAS",
        help="Look for it in this store only, such as the one off-site.",
    )
    parser.add_argument(
        "--identity",
        type=said,
        metavar="FILE",
        help="File with the age identity that opens it.",
    )
    parser.add_argument(
        "--allow-unsigned", action="store_true", help="Accept a package without a signature."
    )


def add_rebuild_option(parser: CommandParser) -> None:
    """Add the option that lets the migrations build the tables."""
    parser.add_argument(
        "--rebuild",
        action="store_true",
        help="Build the tables by the migrations, not as a copy of live's structure: what was "
        "added to live's by hand is lost.",
    )


def add_republish_option(parser: CommandParser) -> None:
    """Add the option that lets publications name the new tables."""
    parser.add_argument(
        "--republish",
        action="store_true",
        help="Go on although publications name the tables (PostgreSQL): they name the new ones "
        "then, and each subscriber has to copy them again.",
    )


def add_part_options(parser: CommandParser) -> None:
    """Add the options that choose some of the models."""
    for option, told in [
        ("--include", "Only this app or model, and what it needs. May be repeated."),
        ("--exclude", "Not this app or model. May be repeated."),
    ]:
        parser.add_argument(
            option, action="append", default=[], type=said, metavar="APP[.MODEL]", help=told
        )


def reading_params(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the run's parameters for those options. Raises KeyMissing."""
    return {
        "package": package_argument(options["package"] or ""),
        "store": options["store"] or "",
        "identity": _identity(options["identity"] or ""),
        "allow_unsigned": options["allow_unsigned"],
    }


def package_argument(text: str) -> str:
    """Return a package's name as it is, a path as an absolute one."""
    path = Path(text).expanduser()
    is_path = "/" in text or is_file(str(path))
    return str(path.absolute()) if text and is_path else text


def _identity(text: str) -> str:
    if not text:
        return ""
    path = Path(text).expanduser().absolute()
    if not path.is_file():
        raise KeyMissing(
            "there is no such file with an identity",
            obj=str(path),
            hint="Name the file that age-keygen wrote; its text never goes on a command line.",
        )
    return str(path)
