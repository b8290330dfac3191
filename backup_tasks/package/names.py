"""Every name of the package format, and which names are safe to write below a folder."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from backup_tasks.package.compression import Compression

RESERVED = ".backup_tasks"
"""Folder in each storage of files that is ours: staged and kept files, never part of a package."""

MANIFEST = "manifest.json"
INDEX = "files.jsonl"

NAME_LIMIT = 255
"""Characters of the longest name of a package: what a file system and the index can hold."""

_SUFFIXES = {"zstd": ".tar.zst", "gzip": ".tar.gz", "none": ".tar"}


def row_folder(alias: str = "") -> str:
    """Return the folder of the rows of a database: `database` of the first, which is "" here,
    `databases/archive` of a further one."""
    return f"databases/{alias}" if alias else "database"


def row_member(number: int, label: str, alias: str = "") -> str:
    """Return the member that holds a model's rows: `database/007-documents.document.jsonl`."""
    return f"{row_folder(alias)}/{number:03d}-{label}.jsonl"


def is_row_member(member: str, label: str, alias: str = "") -> bool:
    """Return whether `member` is a name that `row_member` gives for this model."""
    folder = re.escape(row_folder(alias))
    match = re.fullmatch(folder + r"/[0-9]{3,9}-(\w+\.\w+)\.jsonl", member)
    return match is not None and match[1] == label


def is_alias(alias: str) -> bool:
    """Return whether a further database may be called that in a package: the name of a folder."""
    return re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,62}", alias) is not None


def in_database(alias: str, label: str) -> str:
    """Return how counts, reports and messages name a model: by its label in the first database,
    which is "" here, `archive:documents.document` in a further one."""
    return f"{alias}:{label}" if alias else label


def file_member(storage: str, name: str) -> str:
    """Return the member that holds a file: `files/default/2026/sop.pdf`."""
    return f"files/{storage}/{name}"


def package_name(
    *,
    project: str,
    created_at: datetime,
    label: str,
    id: str,
    compression: Compression,
    encrypted: bool,
) -> str:
    """Return the name of a package: `edms-20261122T223355Z-nightly-1a2b3c4d.tar.zst.age`.

    Names sort by project, then by time. An empty label is left out.
    """
    moment = created_at.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    parts = [_slug(project) or "project", moment, _slug(label), _slug(id)[:8]]
    age = ".age" if encrypted else ""
    return "-".join(part for part in parts if part) + _SUFFIXES[compression] + age


def sidecar_name(package: str) -> str:
    """Return the name of a package's sidecar: `NAME.json` for `NAME.tar.zst.age`."""
    stem = package.removesuffix(".age")
    for suffix in (*_SUFFIXES.values(), ".tgz"):
        if stem.endswith(suffix) and stem != suffix:
            return stem.removesuffix(suffix) + ".json"
    return stem + ".json"


def is_safe(path: str) -> bool:
    """Return whether a path stays below the folder it is joined to, and is written in one way.

    Refused: empty, absolute, `.` and `..` parts, doubled or trailing slashes, NUL, and text that is
    neither UTF-8 nor a file system's undecodable bytes (surrogate escapes).
    """
    try:
        path.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return False
    return "\0" not in path and not {"", ".", ".."} & set(path.split("/"))


def is_file_name(name: str) -> bool:
    """Return whether a package may be called that: one part that can be printed, not hidden, not a
    sidecar's."""
    return (
        0 < len(name) <= NAME_LIMIT
        and name.isprintable()
        and is_safe(name)
        and not {"/", "\\"} & set(name)  # some storages take the latter for the former
        and name[0] != "."
        and not name.endswith(".json")
    )


def is_sidecar_name(file_name: str) -> bool:
    """Return whether a file may be a sidecar: the name of one without its ending could be that of a
    package."""
    return file_name.endswith(".json") and is_file_name(file_name.removesuffix(".json"))


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
