"""Which Django storages hold what: the project's files, and packages."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from django.conf import settings as django_settings
from django.core.files.storage import FileSystemStorage, Storage, storages

from backup_tasks.conf import backup_settings, default_store_folder
from backup_tasks.errors import Misconfigured
from backup_tasks.storage.files import Tree

_OF_INSTALLED_CODE = {"site-packages", "dist-packages"}


def storage_for(alias: str) -> Storage:
    """Return the storage behind an alias of `STORAGES`; for a store that is not defined there, the
    folder beside the database."""
    if alias in django_settings.STORAGES:
        return storages[alias]
    return FileSystemStorage(location=default_store_folder())


def project_trees() -> list[Tree]:
    """Return the storages whose files belong into a package.

    A storage without a folder of its own (`MEDIA_ROOT` is not set) holds no files: Django would
    take the current folder for it. Raises Misconfigured for a folder that a restore must not
    replace, since something else than files is in it.
    """
    settings = backup_settings()
    trees = [Tree(alias) for alias in settings.file_storages if not is_unset(alias)]
    for tree in trees:
        if problem := misplaced(tree.alias):
            raise Misconfigured(
                problem,
                obj=f"storage {tree.alias}",
                hint="Give the files a folder of their own (MEDIA_ROOT).",
            )
    return trees


def is_unset(alias: str) -> bool:
    """Whether the alias is a file system storage that was given no folder."""
    storage = storages[alias]
    return isinstance(storage, FileSystemStorage) and not str(storage.base_location)


def misplaced(alias: str) -> str:
    """Return what is wrong with the folder of a file system storage, or nothing."""
    storage = storages[alias]
    if not isinstance(storage, FileSystemStorage):
        return ""
    folder = Path(storage.location).resolve()
    settings = backup_settings()
    others = {"the workspace": settings.workspace}
    for store in settings.stores:
        found = storage_for(store)
        if isinstance(found, FileSystemStorage):
            others[f"the store {store}"] = Path(found.location)
    for name, other in others.items():
        if folder.is_relative_to(other.resolve()):
            return f"its folder {folder} lies within {name}"
    if base := getattr(django_settings, "BASE_DIR", None):
        others["the project"] = Path(base)
    database = django_settings.DATABASES[settings.database]
    if "sqlite" in database["ENGINE"]:
        others["the database"] = Path(database["NAME"])
    for name, other in others.items():
        if other.resolve().is_relative_to(folder):
            return f"its folder {folder} contains {name} ({other})"
    return ""


def alias_and_folder(storage: Storage) -> tuple[str, str] | None:
    """Return which of the storages whose files belong into a package holds the files of a storage,
    and in which of its folders ("" for itself); None if none does.

    A storage of a model's own may be another object, or have a folder below `MEDIA_ROOT`.
    """
    for alias in backup_settings().file_storages:
        if alias not in django_settings.STORAGES or is_unset(alias):
            continue
        saved = storages[alias]
        if storage == saved:
            return alias, ""
        if isinstance(storage, FileSystemStorage) and isinstance(saved, FileSystemStorage):
            folder, above = Path(storage.location), Path(saved.location)
            if str(storage.base_location) and folder.is_relative_to(above):
                return alias, "" if folder == above else folder.relative_to(above).as_posix()
    return None


def perishable() -> Iterator[str]:
    """Yield which folders of packages, files and steps are gone with the next build: those inside
    installed code, where `BASE_DIR` of a project that was installed is."""
    settings = backup_settings()
    folders = {"the workspace (BACKUP['WORKSPACE'])": settings.workspace}
    for alias in (*settings.stores, *settings.file_storages):
        storage = storage_for(alias)
        if isinstance(storage, FileSystemStorage) and str(storage.base_location):
            folders[f"the storage {alias} (STORAGES, MEDIA_ROOT)"] = Path(storage.location)
    for what, folder in folders.items():
        if _OF_INSTALLED_CODE & set(folder.absolute().parts):
            yield f"{what} is among installed code, and gone with the next build: {folder}"
