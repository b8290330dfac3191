"""Which files of the project's storages are left out, by the patterns of `BACKUP["FILES_EXCLUDE"]`.

A pattern is compared with the path of a file below its storage: `*` stands for anything, slashes
too, `?` for one character, `[…]` for one of several. A pattern that is the path of a folder means
whatever is in it. Case counts.
"""

from __future__ import annotations

from fnmatch import fnmatchcase

from backup_tasks.conf import backup_settings
from backup_tasks.package.names import RESERVED

EXCLUDED = "excluded by BACKUP['FILES_EXCLUDE']"
"""Why such a file is not in a package."""


def is_excluded(name: str) -> bool:
    """Whether the file of that name is left out of packages, and left as it is by a restore. What
    runs stage never is."""
    return not name.startswith(f"{RESERVED}/") and any(
        fnmatchcase(name, pattern) or name.startswith(f"{pattern.rstrip('/')}/")
        for pattern in backup_settings().files_exclude
    )
