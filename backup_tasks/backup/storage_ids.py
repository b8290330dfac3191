"""Storage ids: by them a worker notices that it looks at another folder than the others, because a
volume is not mounted, a setting differs, or the workspace is not shared.

Each storage of files, and the workspace, holds an id in a file of its own, `.backup_tasks/id`, and
the ledger expects it there. The first run adopts what it finds. From then on another id, or none,
is an error before anything is done, until an operator calls `adopt_storage`. The file is in no
package. A folder of `UNDO_FILES` holds an id too: `undo_folder_id`.
"""

from __future__ import annotations

import errno
import logging
import secrets
import socket
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Protocol

from django.core.files.storage import FileSystemStorage
from django.db import IntegrityError, connections, transaction

from backup_tasks.backup import referenced_files
from backup_tasks.backup.undo_folder_id import UndoFolder
from backup_tasks.conf import backup_settings
from backup_tasks.errors import BackupError, HandoverChanged, Misconfigured, StorageRefused
from backup_tasks.models import Run, StorageId
from backup_tasks.package.names import RESERVED
from backup_tasks.rows.databases import each_database
from backup_tasks.rows.scope import full_scope
from backup_tasks.storage.file_storages import project_trees
from backup_tasks.storage.files import Tree

logger = logging.getLogger(__name__)

_FILE = f"{RESERVED}/id"
_LONGEST = 64
_DENIED = (errno.EACCES, errno.EPERM, errno.EROFS)


class _Marked(Protocol):
    """A storage or workspace that holds an id."""

    name: str

    def read(self) -> str:
        """Return its id, "" if it has none."""

    def write(self, value: str) -> None:
        """Give it an id."""

    def new_id(self) -> str:
        """Return the id that it is to get; "" for one of its own."""

    def may_be_another(self, found: str) -> bool:
        """Whether it seems to be another one than that of the runs before, of which the ledger
        knows no id; or nothing. Raises Misconfigured if it certainly is another."""

    def differs(self, expected: StorageId, found: str) -> BackupError:
        """Return the error for another id than the expected one."""


class _Storage:
    """A storage of the project's files."""

    def __init__(self, tree: Tree) -> None:
        self.name = f"storage {tree.alias}"
        self._tree = tree

    def read(self) -> str:
        if not self._tree.exists(_FILE):
            return ""
        with self._tree.open(_FILE) as file:
            return file.read(_LONGEST).decode(errors="replace").strip()

    def write(self, value: str) -> None:
        self._tree.write(_FILE, BytesIO(f"{value}\n".encode()))

    def new_id(self) -> str:
        return ""

    def may_be_another(self, found: str) -> bool:
        if found or any(next(tree.names(), None) for tree in project_trees()):
            return False
        if _packed_files():
            raise Misconfigured(
                f"{self.name} holds no file, and earlier packages had files",
                obj=self._where,
                hint=self._hint,
            )
        return next(self._tree.names(), None) is None and _is_referred_to(self._tree.alias)

    def differs(self, expected: StorageId, found: str) -> BackupError:
        return Misconfigured(
            f"{self.name} is not the one that the runs before used: its id is "
            f"{found or 'missing'}, and {expected.value} is expected since "
            f"{expected.adopted_at:%Y-%m-%d %H:%M} UTC, when {expected.host} had it",
            obj=self._where,
            hint=self._hint,
        )

    @property
    def _where(self) -> str:
        folder = f" ({self._tree.folder})" if self._tree.folder else ""
        return f"{self.name} of host {socket.gethostname()}{folder}"

    @property
    def _hint(self) -> str:
        alias = self._tree.alias
        setting = f"STORAGES[{alias!r}]"
        if isinstance(self._tree.storage, FileSystemStorage) and alias == "default":
            setting = f"MEDIA_ROOT ({setting})"
        return (
            f"Is its volume mounted, and {setting} the same on all workers? Nothing was done. "
            f"If it has taken the place of the one before: manage.py adopt_storage {alias}"
        )


class _Workspace:
    """The folder where steps hand over."""

    name = "workspace"

    def __init__(self) -> None:
        self._path = backup_settings().workspace / _FILE

    def read(self) -> str:
        return self._path.read_text(errors="replace")[:_LONGEST].strip() if self._is_there() else ""

    def write(self, value: str) -> None:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        partial = self._path.with_name(f"{value}.partial")
        partial.write_text(f"{value}\n")
        partial.replace(self._path)

    def new_id(self) -> str:
        return ""

    def may_be_another(self, found: str) -> bool:
        return False

    def differs(self, expected: StorageId, found: str) -> BackupError:
        return HandoverChanged(
            f"{socket.gethostname()} has another workspace than {expected.host}: its id is "
            f"{found or 'missing'}, and {expected.value} is expected",
            obj=str(Path(backup_settings().workspace)),
            hint="BACKUP['WORKSPACE'] must be one folder for all workers. Nothing was done. If it "
            "has taken the place of the one before: manage.py adopt_storage --workspace",
        )

    def _is_there(self) -> bool:
        return self._path.is_file()


def recognize(kind: str) -> None:
    """Raise an error unless the workspace and the storages are those that the ledger expects; what
    it expects nothing of is adopted, unless it can't be written to. A run of a `kind` that uses no
    storage needs none.

    Raises HandoverChanged for another workspace, Misconfigured for another storage.
    """
    for marked in _of(kind):
        expected = StorageId.objects.filter(name=marked.name).first()
        if expected is None:
            found = marked.read()
            if marked.may_be_another(found):
                continue
            try:
                expected = _expect(marked, found)
            except (StorageRefused, OSError) as error:
                if not _is_read_only(error):
                    raise
                # A backup reads only; what writes to the storage is going to say so itself.
                logger.warning("%s can't be given an id: %s", marked.name, error)
                continue
        found = marked.read()
        if found != expected.value:
            raise marked.differs(expected, found)


def adopt(alias: str | None) -> tuple[StorageId, list[str]]:
    """Expect from now on what is there: the storage of an alias and its folder of `UNDO_FILES`, or
    the workspace (None). It is given an id if it has none. Returns what is expected, and the runs
    that can't be undone any more, see `UndoFolder.adopt`. Raises Misconfigured for an alias without
    files."""
    marked: _Marked = _Workspace()
    given_up: list[str] = []
    if alias is not None:
        tree = next((tree for tree in project_trees() if tree.alias == alias), None)
        if tree is None:
            raise Misconfigured(
                "the project keeps no files in a storage of this alias",
                obj=alias,
                hint="BACKUP['FILE_STORAGES'] names those that it does.",
            )
        marked = _Storage(tree)
    value = marked.read() or secrets.token_hex(16)
    marked.write(value)
    row, _ = StorageId.objects.update_or_create(
        name=marked.name, defaults={"value": value, "host": socket.gethostname()}
    )
    if alias is not None and tree is not None and tree.is_local:
        given_up = UndoFolder(tree).adopt()
    return row, given_up


def _of(kind: str) -> Iterator[_Marked]:
    yield _Workspace()
    if kind != Run.Kind.VERIFY:
        for tree in project_trees():
            yield _Storage(tree)
            if tree.is_local:
                yield UndoFolder(tree)


def _expect(marked: _Marked, found: str) -> StorageId:
    """Enter what is there. Of workers that do so at once, the first decides: its row keeps the
    others waiting until its id is written, and a worker that dies in between has entered none."""
    database = backup_settings().database
    value = found or marked.new_id() or secrets.token_hex(16)
    row = StorageId(name=marked.name, value=value, host=socket.gethostname())
    try:
        with transaction.atomic(using=database):
            row.save(using=database, force_insert=True)
            if not found:
                marked.write(row.value)
    except IntegrityError:
        return StorageId.objects.get(name=marked.name)
    return row


def _is_read_only(error: StorageRefused | OSError) -> bool:
    return isinstance(error, StorageRefused) or error.errno in _DENIED


def _packed_files() -> bool:
    """Whether a backup that the ledger knows of held files."""
    made = Run.objects.filter(kind__in=(Run.Kind.BACKUP, Run.Kind.CYCLE), state=Run.State.SUCCEEDED)
    return made.filter(report__files__expected__gt=0).exists()


def _is_referred_to(alias: str) -> bool:
    return any(
        referenced_files.any_to(alias, connections[each.database], full_scope(each).included)
        for each in each_database(backup_settings())
    )
