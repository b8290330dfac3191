"""Plans what an undo does with the files: in which storages it brings back what a run replaced."""

from __future__ import annotations

from collections.abc import Sequence

from backup_tasks.errors import HandoverChanged
from backup_tasks.models import UndoPoint
from backup_tasks.restore import file_swap
from backup_tasks.restore.run_folder import Ask, RunFolder, held_folders


def planned(folders: Sequence[RunFolder]) -> list[str]:
    """Return the aliases of the storages whose files a run changes, for its UndoPoint."""
    return [folder.tree.alias for folder in folders if folder.has_plan]


def with_plan(folders: Sequence[RunFolder], point: UndoPoint) -> list[RunFolder]:
    """Return the folders with a plan. Raises HandoverChanged if one that `point` names has none."""
    found = [folder for folder in folders if folder.has_plan]
    if lost := sorted({*(point.storages or ())} - {folder.tree.alias for folder in found}):
        raise HandoverChanged(
            f"the plan of the files is gone: {_listed(lost)}",
            obj=point.run_id,
            hint="Something else removed it, or BACKUP['FILE_STORAGES'] lacks the storage. If the "
            "rows are replaced, restore the files of a safety package: --type files.",
        )
    return found


def plan(
    folders: Sequence[RunFolder], undone: UndoPoint, ask: Ask, *, accept_missing: bool
) -> list[str]:
    """Write the plans that reverse those of the undone run. Return warnings.

    Raises HandoverChanged, before anything changes, if a plan that the undone run made, or a file
    that it kept, is gone. With `accept_missing` that is a warning: live's files stay there.
    """
    warnings: list[str] = []
    with held_folders([folder.tree for folder in folders], undone.pk, ask) as replaced:
        found = planned(replaced)
        if undone.storages is None:
            warnings.append(
                f"{undone.pk} was made by an earlier version, which did not record the storages "
                f"whose files it changed. Files are brought back in: {_listed(found)}"
            )
        if lost := sorted({*(undone.storages or ())} - {*found}):
            if not accept_missing:
                raise HandoverChanged(
                    f"what {undone.pk} kept of the files is gone: {_listed(lost)}",
                    obj=undone.pk,
                    hint=f"{file_swap.ACCEPT_MISSING} If the storage is to be found under another "
                    "alias or folder, correct the settings first.",
                )
            warnings.append(f"only rows were brought back, no files: {_listed(lost)}")
        for folder, other in zip(folders, replaced, strict=True):
            missing = file_swap.make_undo_plan(folder, other, accept_missing=accept_missing)
            if missing.number:
                warnings.append(
                    f"storage {folder.tree.alias}: {missing.number} files that {undone.pk} had "
                    f"kept are gone, and were not brought back: {missing}"
                )
    return warnings


def _listed(aliases: Sequence[str]) -> str:
    return ", ".join(f"storage {alias}" for alias in aliases) or "no storage"
