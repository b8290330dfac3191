"""`list_packages`: tells what packages the stores hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.core.management.base import CommandError, CommandParser

from backup_tasks.error_classification import explain
from backup_tasks.management.base import LEDGER_ERRORS, in_words, outcome
from backup_tasks.management.base import Command as Base
from backup_tasks.management.tables import size_text, table
from backup_tasks.storage import catalogue
from backup_tasks.storage.catalogue import Broken, Contents, Found

_SIGNED = {True: "yes", False: "not trusted", None: "yes"}


class Command(Base):
    help = "List the packages in the stores, newest first. No key and no database is needed."
    needs_database = False  # the stores are the truth

    def add_options(self, parser: CommandParser) -> None:
        pass

    def perform(self, options: Mapping[str, Any]) -> None:
        contents = catalogue.read()
        warnings = [] if (problem := _not_recorded(contents)) is None else [problem]
        unread = list(contents.unread.values())
        self.tell(
            {
                **outcome(None),
                "ok": not unread,
                "errors": [error.record() for error in unread],
                "packages": [_record(package) for package in contents.found],
                "broken": [_broken_record(odd) for odd in contents.broken],
                "recorded": problem is None,
                "warnings": warnings,
            },
            _text(contents, warnings),
        )
        if unread:
            told = "\n".join(map(in_words, unread))
            raise CommandError(told, returncode=unread[0].exit_code)


def _not_recorded(contents: Contents) -> str | None:
    """Enter into the index what was found, or say why that was not possible: the store is the
    truth, so what it holds is told all the same."""
    try:
        catalogue.index(contents)
    except LEDGER_ERRORS as raised:
        return f"not recorded in the database's index: {explain(raised)}"
    return None


def _record(package: Found) -> dict[str, Any]:
    sidecar = package.sidecar
    return {
        "name": sidecar.name,
        "store": package.store,
        "id": sidecar.id,
        "created_at": sidecar.created_at,
        "type": sidecar.type,
        "size": sidecar.size,
        "sha256": sidecar.sha256,
        "rows": sidecar.totals.rows,
        "files": sidecar.totals.files,
        "encrypted": sidecar.encrypted,
        "signed": sidecar.signature is not None,
        "trusted": package.trusted,
    }


def _broken_record(odd: Broken) -> dict[str, Any]:
    return {"store": odd.store, "file": odd.file_name, **odd.error.record()}


def _text(contents: Contents, warnings: Sequence[str]) -> str:
    parts = [_packages(contents.found)] if contents.found else []
    if contents.broken:
        lines = [f"  {odd.store}: {_about(odd)}" for odd in contents.broken]
        parts.append("\n".join(["Broken, not to be counted on:", *lines]))
    if not parts and not contents.unread:
        parts.append("There are no packages. `create_backup` makes one.")
    return "\n\n".join([*parts, *(f"Warning: {line}" for line in warnings)])


def _about(odd: Broken) -> str:
    error = odd.error
    about = "" if odd.file_name in error.what else f"{odd.file_name}: "
    return f"{about}{error.what}"


def _packages(found: Sequence[Found]) -> str:
    rows = [
        [
            package.sidecar.name,
            package.sidecar.type,
            "yes" if package.sidecar.encrypted else "no",
            _SIGNED[package.trusted] if package.sidecar.signature is not None else "no",
            size_text(package.sidecar.size),
            f"{package.sidecar.totals.rows:,}",
            f"{package.sidecar.totals.files:,}",
        ]
        for package in found
    ]
    head = ["package", "type", "encrypted", "signed", "size", "rows", "files"]
    return table(head, rows, left=4)
