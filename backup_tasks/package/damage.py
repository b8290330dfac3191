"""The one way this folder says that a package is not what was written, or that a storage failed."""

from __future__ import annotations

import errno

from backup_tasks.errors import (
    BackupError,
    PackageDamaged,
    StorageRefused,
    StorageUnavailable,
)

_LASTING = frozenset(
    {
        *(errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM),
        *(errno.ENOENT, errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG),
    }
)
"""What does not pass by itself: space, rights, and folders that are not there."""


def damaged(what: str, *, obj: str = "") -> PackageDamaged:
    """Return the error, with the hint that fits every damage."""
    return PackageDamaged(
        what, obj=obj, hint="Fetch it again, take it from another store, or use an older package."
    )


def storage_failed(
    what: str,
    error: Exception,
    *,
    obj: str,
    hint: str = "Look for free space and permissions.",
) -> BackupError:
    """Return the error for a failure of a storage: worth another try, or not."""
    lasting = isinstance(error, OSError) and error.errno in _LASTING
    said = (error.strerror if isinstance(error, OSError) else None) or str(error)
    return (StorageRefused if lasting else StorageUnavailable)(f"{what} ({said})", obj, hint)
