"""What the manifest and the sidecar of a package both say, and how it is read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypedDict, cast, get_args

from backup_tasks.errors import DoesNotFit
from backup_tasks.package import strict

FORMAT = 2
"""Version of the package format that this code writes, and the newest that it reads."""


LABEL_LIMIT = 64
"""Characters of the longest label."""


PROJECT_LIMIT = 100
"""Characters of the longest project name."""


_HOST_LIMIT = 255


PackageType = Literal["full", "database", "files", "export", "partial"]
"""partial: some of the models, and of the files those that their rows refer to, if any."""


@dataclass(frozen=True, kw_only=True)
class Totals:
    """What the parts of a package add up to."""

    models: int
    rows: int
    files: int
    content_size: int
    """Bytes of all rows and files, unpacked. Progress of packing and unpacking adds up to it."""


class Facts(TypedDict):
    """What both the manifest and the sidecar say of a package, beside format and totals."""

    id: str
    label: str
    type: PackageType
    created_at: str
    host: str
    project: str


def without_empty(values: dict[str, Any], *optional: str) -> dict[str, Any]:
    """Leave optional keys out that have nothing to say: an older version can read the rest."""
    return {key: value for key, value in values.items() if value or key not in optional}


def read_format(record: strict.Record) -> int:
    """Take the version of the package format. Raises DoesNotFit if it is newer than this code."""
    found = record.count("format")
    if found > FORMAT:
        raise DoesNotFit(
            f"the package has format {found}, this version reads up to format {FORMAT}",
            obj=record.where,
            hint="Install a newer version of backup_tasks, then try again.",
        )
    if found < 1:
        raise record.wrong("format", "a version from 1 up")
    return found


def read_facts(record: strict.Record) -> Facts:
    """Take what a manifest and a sidecar have in common. Raises PackageDamaged."""
    return Facts(
        id=record.id("id"),
        label=record.line("label", LABEL_LIMIT),
        type=cast("PackageType", record.one_of("type", get_args(PackageType))),
        created_at=record.utc("created_at"),
        host=record.line("host", _HOST_LIMIT),
        project=record.line("project", PROJECT_LIMIT),
    )


def read_totals(record: strict.Record) -> Totals:
    """Take all keys of a record of totals."""
    totals = Totals(
        models=record.count("models"),
        rows=record.count("rows"),
        files=record.count("files"),
        content_size=record.count("content_size"),
    )
    record.done()
    return totals
