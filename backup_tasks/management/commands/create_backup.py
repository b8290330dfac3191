"""`create_backup`: writes a package of the database and the files."""

from __future__ import annotations

from argparse import BooleanOptionalAction
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from backup_tasks.backup.options import package_options
from backup_tasks.conf import backup_settings
from backup_tasks.errors import Misconfigured
from backup_tasks.management.base import RunCommand, said
from backup_tasks.management.packages import add_part_options
from backup_tasks.models import Run


class Command(RunCommand):
    help = "Back up the database and the files into a package, and read it back."
    kind = Run.Kind.BACKUP

    def add_options(self, parser: CommandParser) -> None:
        add_package_options(parser)

    def params(self, options: Mapping[str, Any]) -> dict[str, Any]:
        return package_params(options)


def add_package_options(parser: CommandParser) -> None:
    """Add the options that say what goes into a package, and how."""
    parser.add_argument(
        "--type",
        choices=["full", "database", "files", "export"],
        default="full",
        help="What goes into the package. export: as full, to be taken elsewhere with --output.",
    )
    parser.add_argument(
        "--output", type=said, metavar="PATH", help="Write it there; else into the store."
    )
    parser.add_argument("--label", default="", help="Goes into the package's name.")
    parser.add_argument(
        "--compress",
        choices=["zstd", "gzip", "none"],
        help="Default: what the name of the output says, else zstd.",
    )
    parser.add_argument(
        "--encrypt",
        action=BooleanOptionalAction,
        default=None,
        help="Default: encrypt where the settings name recipients.",
    )
    parser.add_argument(
        "--include-users",
        action=BooleanOptionalAction,
        default=True,
        help="Users, and what belongs to them.",
    )

    parser.add_argument(
        "--accept-missing-files",
        action="store_true",
        help="Files that are missing are gone for good: the backup is complete without them.",
    )
    add_part_options(parser)


def package_params(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the run's parameters for those options. Raises Misconfigured, KeyMissing."""
    names = ("type", "label", "compress", "encrypt", "include_users", "include", "exclude")
    params = {name: options[name] for name in (*names, "accept_missing_files")}
    params |= {"output": _output(options["output"] or "")}
    package_options(params, backup_settings())  # refused before there is a run
    return params


def _output(text: str) -> str:
    if not text:
        return ""
    path = Path(text).expanduser().absolute()
    if not path.parent.is_dir():
        raise Misconfigured(
            "its folder does not exist", obj=str(path), hint=f"Make it first: mkdir {path.parent}"
        )
    return str(path)
