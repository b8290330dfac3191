"""The id of a folder of `UNDO_FILES`: by it a host notices that its folder is not the one with the
files of the undo points. At first it is the id of its storage, so that the folder of another
storage, or of another project, is told apart.
"""

from __future__ import annotations

import socket
from pathlib import Path

from backup_tasks import moments
from backup_tasks.errors import AnotherRunActive, Misconfigured
from backup_tasks.models import Run, StorageId, UndoPoint
from backup_tasks.package.names import RESERVED
from backup_tasks.package.streams import partial_name, written_whole
from backup_tasks.storage import undo_files
from backup_tasks.storage.files import Tree

_LONGEST = 64
_NAMED = 5
_OF_THE_ID = (undo_files.ID, partial_name(undo_files.ID))


class UndoFolder:
    """The folder that `UNDO_FILES` names for a storage on disk, if it names one."""

    def __init__(self, tree: Tree) -> None:
        self.name = f"storage {tree.alias}, undo files"
        self.folder = undo_files.folder_for(tree.alias)
        self._alias = tree.alias
        self._root = tree.folder or Path()

    def read(self) -> str:
        """Return its id. Raises Misconfigured if no file can be moved from it into the storage."""
        if self.folder is None:
            return ""
        if problem := undo_files.on_another_file_system(self.folder, self._root):
            raise self._unusable(problem, "Name a folder on the file system of the storage.")
        return _id_in(self.folder / undo_files.ID)

    def write(self, value: str) -> None:
        """Make the folder if it is missing, and give it an id."""
        if self.folder is not None:
            undo_files.make(self.folder, self._root)
            with written_whole(self.folder / undo_files.ID) as file:
                file.write(f"{value}\n".encode())

    def new_id(self) -> str:
        """Return the id of its storage, "" if that has none."""
        return _id_in(self._root / RESERVED / undo_files.ID)

    def may_be_another(self, found: str) -> bool:
        """Whether the settings name no folder. Raises Misconfigured if it can't be taken: there are
        run folders elsewhere, or something else is in it."""
        if self.folder is None:
            return True
        self.refuse_others(found)
        if found and found != self.new_id():
            raise self._unusable(
                f"{self.folder} has the id {found}: it is the folder of another storage or project",
                f"Name a folder of its own. If it is this one's: manage.py adopt_storage "
                f"{self._alias}",
            )
        return False

    def refuse_others(self, found: str) -> None:
        """Raise Misconfigured if run folders lie in the storage itself, or, where no id was found,
        something else lies in the folder: it would be taken for run folders, and removed."""
        if self.folder is None:
            return
        reserved = self._root / RESERVED
        inside = [name for name in undo_files.content(reserved) if (reserved / name).is_dir()]
        if inside:
            raise self._unusable(
                f"{reserved} has files that undo needs, or a run that may be resumed: "
                + ", ".join(inside[:_NAMED]),
                f"Take {self._alias!r} out of UNDO_FILES until prune_packages has removed them.",
            )
        # Another worker may be giving it its id in this moment.
        there = [name for name in undo_files.content(self.folder) if name not in _OF_THE_ID]
        if not found and there:
            raise self._unusable(
                f"{self.folder} is not empty: {', '.join(there[:_NAMED])}",
                "Name a folder that has nothing else in it, or one that is not there yet.",
            )

    def differs(self, expected: StorageId, found: str) -> Misconfigured:
        """Return the error for another id than the expected one."""
        here = f"{self.folder}" if self.folder else "no folder is named"
        return self._unusable(
            f"on {socket.gethostname()} it is not the folder that has the files of the runs before "
            f"({here}): its id is {found or 'missing'}, and {expected.value} is expected since "
            f"{expected.adopted_at:%Y-%m-%d %H:%M} UTC, when {expected.host} had it",
            "Nothing was done. Set it as before, the same on all hosts; or move all that is in the "
            "folder before, its `id` too. To give up what can be undone now: "
            f"manage.py adopt_storage {self._alias}",
        )

    def adopt(self) -> list[str]:
        """Expect from now on what the settings name. If the ledger expected another folder, what
        can be undone now can't any more: these runs are returned. Raises Misconfigured, and
        AnotherRunActive while a run writes to live."""
        row = StorageId.objects.filter(name=self.name).first()
        found = self.read()
        self.refuse_others(found)
        given_up = _give_up() if row is not None and row.value != found else []
        if self.folder is None:
            StorageId.objects.filter(name=self.name).delete()
        elif row is not None or found:
            value = found or self.new_id()
            self.write(value)
            defaults = {"value": value, "host": socket.gethostname()}
            StorageId.objects.update_or_create(name=self.name, defaults=defaults)
        return given_up

    def _unusable(self, problem: str, hint: str) -> Misconfigured:
        return Misconfigured(
            f"BACKUP['UNDO_FILES'] can't be used: {problem}",
            obj=f"storage {self._alias}",
            hint=hint,
        )


def _id_in(path: Path) -> str:
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        return file.read(_LONGEST).decode(errors="replace").strip()


def _give_up() -> list[str]:
    if active := Run.objects.exclude(live_lock=None).first():
        raise AnotherRunActive(
            "the run may be writing to live's files", obj=active.pk, hint="Try again afterwards."
        )
    points = UndoPoint.objects.filter(undone_at=None)
    runs = sorted(points.values_list("pk", flat=True))
    points.update(undone_at=moments.now(), files_done=True)
    return runs
