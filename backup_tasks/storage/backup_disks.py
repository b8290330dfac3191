"""The disks of this machine that backups are written to."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from django.core.files.storage import FileSystemStorage

from backup_tasks.conf import backup_settings
from backup_tasks.storage.disk_space import Disk, Need, disks
from backup_tasks.storage.file_storages import storage_for


def backup_disks(size: int) -> Mapping[str, Disk]:
    """Return the disks that a backup as large as `size` is written to, by how they are called:
    `/srv (the workspace and the store)`."""
    settings = backup_settings()
    folders = {"the workspace": settings.workspace}
    storage = storage_for(settings.stores[0])
    if isinstance(storage, FileSystemStorage):
        folders["the store"] = Path(storage.location)
    needs = [Need(what=what, folder=folder, size=size) for what, folder in folders.items()]
    return {
        f"{disk.folder} ({' and '.join(need.what for need in disk.needs)})": disk
        for disk in disks(needs)
    }


def free_space() -> dict[str, int]:
    """Return the free bytes of each, by how they are called."""
    return {called: disk.free for called, disk in backup_disks(0).items()}
