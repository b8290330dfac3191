"""`list_packages`: lists the packages in the stores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.core.management.base import CommandError, CommandParser

from backup_tasks.conf import backup_settings
from backup_tasks.engines import require_database
from backup_tasks.error_classification import LEDGER_ERRORS, explain
from backup_tasks.management.base import Command as Base
from backup_tasks.management.base import in_words, outcome
from backup_tasks.management.standing import (
    Own,
    last_record,
    standing_lines,
    standing_record,
)
from backup_tasks.management.tables import size_text, table
from backup_tasks.storage import catalogue, last_good
from backup_tasks.storage.catalogue import Broken, Contents, Found
from backup_tasks.storage.last_good import Candidate


class Command(Base):
    help = "List the packages in the stores, newest first. No key and no database is needed."
    needs_database = False  # the stores are the truth

    def add_options(self, parser: CommandParser) -> None:
        pass

    def perform(self, options: Mapping[str, Any]) -> None:
        contents = catalogue.read()
        candidates, own, warnings = _judged(contents)
        known = {(each.store, each.name): each for each in candidates}
        packages = [
            _record(each) | standing_record(known[each.store, each.sidecar.name])
            for each in contents.found
        ]
        unread = list(contents.unread.values())
        lines = standing_lines(candidates, self.style.ERROR, own)
        self.tell(
            {
                **outcome(None),
                "ok": not unread,
                "errors": [error.record() for error in unread],
                "packages": packages,
                "broken": [_broken_record(odd) for odd in contents.broken],
                **last_record(candidates, own),
                "recorded": not warnings,
                "warnings": warnings,
            },
            _text(contents, packages, [*lines], warnings),
        )
        if unread:
            told = "\n".join(map(in_words, unread))
            raise CommandError(told, returncode=unread[0].exit_code)


def _judged(contents: Contents) -> tuple[list[Candidate], Own, list[str]]:
    """Write what was found to the index, and return what is known of each package. Where the
    database can't take it, what the stores alone know, no id of an installation, and a warning: the
    store is the truth, so what it holds is listed all the same."""
    try:
        require_database(backup_settings().database)
        catalogue.index(contents)
        return last_good.known(contents.found), None, []
    except LEDGER_ERRORS as raised:
        problem = f"not recorded in the database's index: {explain(raised)}"
    return last_good.known_to_stores(contents.found), (), [problem]


def _record(package: Found) -> dict[str, Any]:
    sidecar = package.sidecar
    return {
        "name": sidecar.name,
        "store": package.store,
        "id": sidecar.id,
        "created_at": sidecar.created_at,
        "project": sidecar.project,
        "label": sidecar.label,
        "type": sidecar.type,
        "size": sidecar.size,
        "sha256": sidecar.sha256,
        "rows": sidecar.totals.rows,
        "files": sidecar.totals.files,
        "encrypted": sidecar.encrypted,
        "signed": sidecar.signature is not None,
    }


def _broken_record(odd: Broken) -> dict[str, Any]:
    return {"store": odd.store, "file": odd.file_name, **odd.error.record()}


def _text(
    contents: Contents,
    packages: Sequence[Mapping[str, Any]],
    standing: Sequence[str],
    warnings: Sequence[str],
) -> str:
    parts = ["\n".join([_packages(packages), *standing])] if packages else []
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


def _packages(packages: Sequence[Mapping[str, Any]]) -> str:
    rows = [
        [
            package["name"],
            package["standing"],
            package["type"],
            "yes" if package["encrypted"] else "no",
            "yes" if package["signed"] else "no",
            size_text(package["size"]),
            f"{package['rows']:,}",
            f"{package['files']:,}",
        ]
        for package in packages
    ]
    head = ["package", "standing", "type", "encrypted", "signed", "size", "rows", "files"]
    return table(head, rows, left=5)
