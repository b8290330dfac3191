"""Which Django storages hold what: the project's files, and packages."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from django.conf import settings as django_settings
from django.core.files.storage import FileSystemStorage, Storage, storages

from backup_tasks.conf import BackupSettings, backup_settings, default_store_folder
from backup_tasks.errors import Misconfigured
from backup_tasks.storage import undo_files
from backup_tasks.storage.files import Tree

UNDO_FILES_HINT = (
    "Name an absolute folder for it, on the file system of the storage, that has nothing else in "
    "it and is not served. Without one, run folders lie in the storage."
)

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
    replace, since something else than files is in it; and for one of `UNDO_FILES` that can't be
    used.
    """
    settings = backup_settings()
    for alias in settings.undo_files:
        if problem := undo_files_misplaced(alias):
            raise Misconfigured(
                f"BACKUP['UNDO_FILES'] can't be used: {problem}",
                obj=f"storage {alias}",
                hint=UNDO_FILES_HINT,
            )
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
    others |= _database_files(settings)
    for name, other in others.items():
        if other.resolve().is_relative_to(folder):
            return f"its folder {folder} contains {name} ({other})"
    return ""


def undo_files_misplaced(alias: str) -> str:
    """Return what is wrong with the folder that BACKUP['UNDO_FILES'] names for a storage, or
    nothing."""
    settings = backup_settings()
    if alias not in settings.file_storages or alias not in django_settings.STORAGES:
        return f"FILE_STORAGES has no storage {alias!r}"
    storage = storages[alias]
    if not isinstance(storage, FileSystemStorage):
        return "the storage is not on disk, and its run folders can only lie in it"
    folder = undo_files.folder_for(alias)
    if folder is None or not Path(settings.undo_files[alias]).is_absolute():
        return f"{settings.undo_files[alias]!r} is no absolute path"
    for what, other in _folders_in_use(alias):
        if folder.is_relative_to(other.resolve()):
            return f"{folder} lies within {what} ({other})"
        if other.resolve().is_relative_to(folder):
            return f"{folder} contains {what} ({other})"
    base = getattr(django_settings, "BASE_DIR", None)
    if base and Path(base).resolve().is_relative_to(folder):
        return f"{folder} contains the project ({base})"
    return ""


def _folders_in_use(alias: str) -> Iterator[tuple[str, Path]]:
    """Yield the folders of which one of `UNDO_FILES`, that of an alias, must keep clear."""
    settings = backup_settings()
    yield "the workspace", settings.workspace
    for name in ("MEDIA_ROOT", "STATIC_ROOT"):
        if root := getattr(django_settings, name, None):
            yield name, Path(root)
    for other, given in django_settings.STORAGES.items():
        if location := given.get("OPTIONS", {}).get("location"):
            yield f"the storage {other}", Path(str(location))
    for other in {*settings.stores, *settings.file_storages}:
        storage = storage_for(other)
        if isinstance(storage, FileSystemStorage) and str(storage.base_location):
            yield f"the storage {other}", Path(storage.location)
    for other in settings.undo_files:
        if other != alias and (folder := undo_files.folder_for(other)):
            yield f"the folder that UNDO_FILES has for {other}", folder
    yield from _database_files(settings).items()


def _database_files(settings: BackupSettings) -> dict[str, Path]:
    found = {}
    for alias in settings.databases or (settings.database,):
        database = django_settings.DATABASES[alias]
        if "sqlite" in database["ENGINE"]:
            what = "the database" if alias == settings.database else f"the database {alias}"
            found[what] = Path(database["NAME"])
    return found


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
