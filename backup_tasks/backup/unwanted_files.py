"""Files in a package that seldom belong into one: keys, configuration, static files, caches and
search indexes. They are backed up all the same, and named in a warning."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from django.conf import settings as django_settings

from backup_tasks.printable import printable
from backup_tasks.storage.files import Tree

_NAMED = 3
_BY_NAME = {
    "keys": ("*.pem", "*.key", "*.p12", "*.pfx", "*.kdbx", "id_rsa", "id_ed25519", "*.gpg"),
    "configuration files": (".env", ".env.*", "*.env", "local_settings.py", ".htpasswd"),
}
"""By the last part of a path."""


class UnwantedFiles:
    """Counts them while the files are listed, and remembers some of their names."""

    def __init__(self) -> None:
        self._folders = list(_folders_of_settings())
        self._numbers: Counter[tuple[str, str]] = Counter()
        self._named: dict[tuple[str, str], list[str]] = defaultdict(list)

    def look_at(self, tree: Tree, name: str) -> None:
        """Take in a file that goes into the package."""
        if kind := self._kind(tree, name):
            key = tree.alias, kind
            self._numbers[key] += 1
            if len(self._named[key]) < _NAMED:
                self._named[key].append(printable(name))

    def _kind(self, tree: Tree, name: str) -> str:
        last = name.rpartition("/")[2]
        for kind, patterns in _BY_NAME.items():
            if any(fnmatchcase(last, pattern) for pattern in patterns):
                return kind
        if root := tree.folder:
            for kind, folder in self._folders:
                if (root / name).is_relative_to(folder):
                    return kind
        return ""

    def warnings(self) -> Iterator[str]:
        """Yield one for each kind in each storage."""
        for (alias, kind), number in self._numbers.items():
            names = ", ".join(self._named[alias, kind])
            more = f" and {number - _NAMED} more" if number > _NAMED else ""
            yield (
                f"storage {alias}: {kind} are in the package: {names}{more}. "
                "BACKUP['FILES_EXCLUDE'] leaves files out"
            )


def _folders_of_settings() -> Iterator[tuple[str, Path]]:
    """Yield the folders in which Django and Haystack keep what they can make anew."""
    if root := getattr(django_settings, "STATIC_ROOT", None):
        yield "static files", Path(root)
    caches: Mapping[str, Mapping[str, Any]] = django_settings.CACHES
    for cache in caches.values():
        if "filebased" in str(cache.get("BACKEND", "")) and cache.get("LOCATION"):
            yield "cached values", Path(str(cache["LOCATION"]))
    indexes: Mapping[str, Mapping[str, Any]] = getattr(django_settings, "HAYSTACK_CONNECTIONS", {})
    for index in indexes.values():
        if path := index.get("PATH"):
            yield "parts of a search index", Path(str(path))
