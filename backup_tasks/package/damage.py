"""The one way this folder says that a package is not what was written."""

from __future__ import annotations

from backup_tasks.errors import (
    PackageDamaged,
)

_MOST = 400
"""Characters of a text from a package that a message shows."""


def damaged(what: str, *, obj: str = "") -> PackageDamaged:
    """Return the error, with the hint that fits every damage."""
    return PackageDamaged(
        shown(what),
        obj=shown(obj),
        hint="Fetch it again, take it from another store, or use an older package.",
    )


def shown(text: str) -> str:
    """Return a text that somebody else wrote as a terminal, a page and a ledger can take it: what
    can't be printed as an escape, and the middle of a long one left out."""
    if len(text) > _MOST:
        text = f"{text[: _MOST // 2]}…{text[-_MOST // 2 :]}"
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )
