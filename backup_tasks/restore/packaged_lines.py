"""The lines of a package as plain JSON, for those who need no model: see `rows.codec`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from backup_tasks.package.damage import damaged


def parsed_line(line: bytes, label: str, number: int) -> dict[str, Any]:
    """Return a line of a model as it can be relied on: its `fields`, `_fk` and `_raw` are objects.
    Raises PackageDamaged."""
    try:
        data = orjson.loads(line)
    except ValueError:
        data = None
    if isinstance(data, dict):
        parts = (data.get("fields"), data.get("_fk", {}), data.get("_raw", {}))
        if all(isinstance(part, dict) for part in parts):
            return data
    raise damaged(f"row {number} can't be read", obj=label)


def stored_values(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the stored values of a line: a foreign key's own, not the natural key."""
    return {**data["fields"], **data.get("_fk", {})}


def pk_of(data: Mapping[str, Any]) -> Any:
    """Return the primary key of a line, None where it has none or a composite one."""
    return data.get("_pk", data.get("pk"))


def text_of(value: Any) -> str:
    """Return a value as text, by which keys of one row are equal wherever they are written."""
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def split_line(line: bytes) -> tuple[bytes, bytes]:
    """Return a line's prefix, which is the canonical row without its closing brace, and suffix. The
    members behind the canonical row begin with `_`; the row ends where what is before them is JSON
    by itself."""
    offset = line.find(b',"_')
    while offset >= 0:
        try:
            orjson.loads(line[:offset] + b"}")
        except ValueError:
            offset = line.find(b',"_', offset + 1)
        else:
            return line[:offset], line[offset:]
    return line[:-1], line[-1:]
