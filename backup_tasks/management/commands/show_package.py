"""`show_package`: looks into a package: models, rows, files; takes one file out."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser
from django.db import DatabaseError, InterfaceError

from backup_tasks.errors import DoesNotFit, Misconfigured, StorageRefused
from backup_tasks.evidence import audit
from backup_tasks.management.base import Command as Base
from backup_tasks.management.base import count, said
from backup_tasks.management.packages import add_reading_options, reading_params
from backup_tasks.management.tables import size_text, table
from backup_tasks.package.index import FileEntry
from backup_tasks.package.names import in_database
from backup_tasks.package.streams import copy
from backup_tasks.printable import printable, shown
from backup_tasks.restore.looking import Looking, looking_into
from backup_tasks.restore.packaged_rows import PackagedRow, PackagedRows


class Command(Base):
    help = "Look into a package: its models, the rows of one, its files; take one file out."
    needs_database = False  # a package is read by itself

    def add_options(self, parser: CommandParser) -> None:
        parser.add_argument("package", type=said, help="Its name in the store, or its path.")
        parser.add_argument("--model", type=said, metavar="APP.MODEL", help="Show its rows.")
        parser.add_argument(
            "--key", type=said, metavar="TEXT", help="Only rows whose key contains it."
        )
        parser.add_argument("--files", action="store_true", help="Show the files.")
        parser.add_argument(
            "--name", type=said, metavar="TEXT", help="Only files whose name contains it."
        )
        parser.add_argument(
            "--start", type=count, default=1, metavar="N", help="Begin with row or file N."
        )
        parser.add_argument(
            "--limit", type=count, default=50, metavar="N", help="How many rows or files to show."
        )
        parser.add_argument("--take", type=said, metavar="FILE", help="Take this file out.")
        parser.add_argument("--storage", type=said, metavar="ALIAS", help="The storage it is of.")
        parser.add_argument("--output", type=said, metavar="PATH", help="Where to write it.")
        add_reading_options(parser)

    def perform(self, options: Mapping[str, Any]) -> None:
        """Show what was asked for, or write the file."""
        _refuse_misfit(options)
        params = reading_params(options)
        with looking_into(params["package"], params=params) as looking:
            if options["take"]:
                self._take(looking, options)
            elif options["model"]:
                self._rows(looking, options)
            elif options["files"]:
                self._files(looking, options)
            else:
                self._models(looking)

    def _models(self, looking: Looking) -> None:
        manifest = looking.manifest
        entries = [
            (in_database(alias, entry.label), entry)
            for alias, part in manifest.parts.items()
            for entry in part.models
        ]
        files = manifest.totals.files
        rows = [
            [name, f"{entry.count:,}", size_text(entry.size), entry.digest[:12]]
            for name, entry in entries
        ]
        text = table(["model", "rows", "size", "digest"], rows)
        models = {name: {"rows": each.count, "digest": each.digest} for name, each in entries}
        self.tell({"models": models, "files": files}, f"{text}\n{files:,} files")

    def _rows(self, looking: Looking, options: Mapping[str, Any]) -> None:
        manifest, entry = looking.model(options["model"])
        rows = PackagedRows(manifest, entry).rows(
            looking.lines(entry), start=options["start"], search=options["key"] or ""
        )
        found = [*islice(rows, options["limit"])]
        self.tell({"rows": [asdict(row) for row in found]}, "\n\n".join(map(_row_text, found)))

    def _files(self, looking: Looking, options: Mapping[str, Any]) -> None:
        files = looking.files(search=options["name"] or "", start=options["start"])
        found = [
            {
                "number": number,
                "storage": printable(entry.storage),
                "name": printable(entry.name),
                "size": entry.size,
                "sha256": entry.sha256,
            }
            for number, entry in islice(files, options["limit"])
        ]
        rows = [
            [str(each["name"]), str(each["storage"]), size_text(int(str(each["size"])))]
            for each in found
        ]
        self.tell({"files": found}, table(["file", "storage", "size"], rows, left=2))

    def _take(self, looking: Looking, options: Mapping[str, Any]) -> None:
        wanted, output = options["take"], Path(options["output"])
        entry = _one_file(looking, wanted, options["storage"])
        with looking.take(entry) as content, _new_file(output) as target:
            copy(content, target)
        record = {"file": entry.name, "output": str(output), "size": entry.size}
        details = {"file": printable(entry.name), "storage": printable(entry.storage)}
        try:
            audit.record("file taken", options["package"], through="command", details=details)
        except (DatabaseError, InterfaceError) as error:
            self.stderr.write(f"Warning: it is not in the audit trail: {error}")
        self.tell(
            {**record, "sha256": entry.sha256},
            f"{output}: {size_text(entry.size)}, SHA-256 {entry.sha256} as the package says",
        )


def _refuse_misfit(options: Mapping[str, Any]) -> None:
    asked = [name for name in ("model", "files", "take") if options[name]]
    if len(asked) > 1:
        raise Misconfigured(
            f"--{' and --'.join(asked)} ask for different things", hint="Say one of them."
        )
    for option, needed in [
        ("key", "model"),
        ("name", "files"),
        ("storage", "take"),
        ("output", "take"),
        ("take", "output"),
    ]:
        if options[option] and not options[needed]:
            raise Misconfigured(f"--{option} goes with --{needed}", hint=f"Say --{needed}, too.")


def _one_file(looking: Looking, name: str, storage: str | None) -> FileEntry:
    """Return the file of that name. Raises DoesNotFit where there is none, or several storages have
    one."""
    found = [
        entry
        for _, entry in looking.files(search=name)
        if entry.name == name and storage in (None, entry.storage)
    ]
    if len(found) == 1:
        return found[0]
    if found:
        storages = ", ".join(entry.storage for entry in found)
        raise DoesNotFit(
            f"several storages have a file of that name: {storages}",
            obj=shown(name),
            hint="Say which one with --storage.",
        )
    raise DoesNotFit(
        "the package holds no such file",
        obj=shown(name),
        hint="show_package PACKAGE --files lists its files.",
    )


@contextlib.contextmanager
def _new_file(path: Path) -> Any:
    """Open a file that must not exist yet, readable by its owner only. It is removed if what is
    written is not complete."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise StorageRefused(
            f"the file can't be written ({error.strerror})",
            obj=str(path),
            hint="Name a new file in a folder that you may write to.",
        ) from error
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def _row_text(row: PackagedRow) -> str:
    values = "\n".join(f"  {name}: {value}" for name, value in row.values.items())
    return f"{row.number}  {row.key}\n{values}"
