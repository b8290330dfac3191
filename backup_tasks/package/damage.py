"""The error for a package that is not what was written."""

from __future__ import annotations

from backup_tasks.errors import PackageDamaged
from backup_tasks.printable import shown


def damaged(what: str, *, obj: str = "") -> PackageDamaged:
    """Return the error, with the hint that fits every damage."""
    return PackageDamaged(
        shown(what),
        obj=shown(obj),
        hint="Fetch it again, take it from another store, or use an older package.",
    )
