"""The project's files: which storages they are in, what is there, and how a set of files is put in
place of another without a moment in which a file that a row refers to can't be read.

Each storage is handled by itself. Below `.backup_tasks/` it has, per run, the files that a restore
staged (`staging`), those that a promote replaced (`kept`), and the plan that says what happens to
each name (`plan.jsonl`): lines of {"name": …, "action": "add" | "replace" | "remove"}.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryFile
from typing import BinaryIO, Literal, cast

from django.conf import settings as django_settings
from django.core.files import File
from django.core.files.storage import FileSystemStorage, Storage, storages

from backup_tasks.conf import backup_settings, default_store_folder
from backup_tasks.errors import HandoverChanged, Misconfigured, StorageUnavailable

RESERVED = ".backup_tasks"
_CHUNK = 1 << 20

Action = Literal["add", "replace", "remove"]


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One file of a package or of a storage."""

    name: str
    size: int
    sha256: str


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


class Tree:
    """The files of one storage."""

    def __init__(self, alias: str) -> None:
        self.alias = alias
        self.storage = storages[alias]
        self._local = isinstance(self.storage, FileSystemStorage)

    def names(self, folder: str = "") -> Iterator[str]:
        """Yield the names of all files, in the order of their path's parts; ours left out."""
        try:
            folders, files = self.storage.listdir(folder)
        except FileNotFoundError:
            return
        for name, is_folder in sorted([(n, True) for n in folders] + [(n, False) for n in files]):
            path = f"{folder}/{name}" if folder else name
            if not is_folder:
                yield path
            elif path != RESERVED:
                yield from self.names(path)

    def open(self, name: str) -> BinaryIO:
        """Open a file for reading. Raises FileNotFoundError."""
        return cast(BinaryIO, self.storage.open(name, "rb"))

    def exists(self, name: str) -> bool:
        """Whether there is a file of that name."""
        return self.storage.exists(name)

    def entry(self, name: str) -> Entry:
        """Read the file through, and return its size and SHA-256. Raises FileNotFoundError."""
        hashed, size = sha256(), 0
        with self.open(name) as stream:
            while chunk := stream.read(_CHUNK):
                hashed.update(chunk)
                size += len(chunk)
        return Entry(name=name, size=size, sha256=hashed.hexdigest())

    def write(self, name: str, content: BinaryIO) -> None:
        """Write a file under exactly this name, replacing what a crashed attempt left there."""
        self.storage.delete(name)
        saved = self.storage.save(name, File(content))
        if saved != name:
            self.storage.delete(saved)
            raise StorageUnavailable(
                f"the storage chose the name {saved} for it",
                obj=name,
                hint=f"Storage {self.alias} must keep names as they are.",
            )
        if self._local:
            _make_durable(self.storage.path(name))

    def move(self, source: str, target: str) -> None:
        """Give a file another name, replacing what has it; on a file system in one instant."""
        if self._local:
            path = Path(self.storage.path(target))
            path.parent.mkdir(parents=True, exist_ok=True)
            Path(self.storage.path(source)).replace(path)
            return
        with self.open(source) as content:
            self.write(target, content)
        self.storage.delete(source)

    def copy(self, source: str, target: str) -> None:
        """Keep a file under another name too."""
        if self._local:
            path = Path(self.storage.path(target))
            path.parent.mkdir(parents=True, exist_ok=True)
            path.unlink(missing_ok=True)
            with suppress(OSError):  # not every file system has hard links
                os.link(self.storage.path(source), path)
                return
        with self.open(source) as content:
            self.write(target, content)

    def remove_folder(self, folder: str) -> None:
        """Remove a folder and all files in it."""
        for name in list(self.names(folder)):
            self.storage.delete(name)
        if self._local:
            base = Path(self.storage.path(folder))
            for path in sorted(base.rglob("*"), reverse=True):
                path.rmdir()
            with suppress(OSError):  # its parent goes too, once it is empty
                base.rmdir()
                base.parent.rmdir()
                base.parent.parent.rmdir()


def staged(run_id: str, name: str = "") -> str:
    """Return where a run stages a file of that name."""
    return f"{RESERVED}/{run_id}/staging/{name}".rstrip("/")


def kept(run_id: str, name: str = "") -> str:
    """Return where a run keeps the file of that name that it replaced or removed."""
    return f"{RESERVED}/{run_id}/kept/{name}".rstrip("/")


def make_plan(tree: Tree, run_id: str, wanted: Iterable[Entry]) -> None:
    """Write what must happen so that the storage holds just the wanted files, which are staged.

    `wanted` comes in the order of `Tree.names`. A plan that is there already is kept: after a crash
    the storage is somewhere between the two states, and only the first look knew the old one.
    """
    if has_plan(tree, run_id):
        return
    _write_plan(tree, run_id, _compare(tree, wanted))


def make_undo_plan(tree: Tree, run_id: str, undone: str) -> None:
    """Write the plan that takes back what the plan of the run `undone` did, and stage its files."""
    if has_plan(tree, run_id) or not has_plan(tree, undone):
        return
    opposite: dict[Action, Action] = {"add": "remove", "remove": "add", "replace": "replace"}
    for name, action in _read_plan(tree, undone):
        if action != "add":
            tree.copy(kept(undone, name), staged(run_id, name))
    plan = ((name, opposite[action]) for name, action in _read_plan(tree, undone))
    _write_plan(tree, run_id, plan)


def has_plan(tree: Tree, run_id: str) -> bool:
    """Whether the run changes files of this storage."""
    return tree.exists(_plan_name(run_id))


@contextmanager
def added(trees: Sequence[Tree], run_id: str) -> Iterator[None]:
    """Add the files that live has not before the rows change inside: the old rows miss nothing. If
    the rows do not change after all, take them back."""
    try:
        for tree in trees:
            for name, action in _read_plan(tree, run_id):
                if action == "add" and tree.exists(staged(run_id, name)):
                    tree.move(staged(run_id, name), name)
        yield
    except Exception:
        for tree in trees:
            take_back_added(tree, run_id)
        raise


def take_back_added(tree: Tree, run_id: str) -> None:
    """Stage the added files again: the run did not change the rows."""
    if has_plan(tree, run_id):
        for name, action in _read_plan(tree, run_id):
            if action == "add" and tree.exists(name) and not tree.exists(staged(run_id, name)):
                tree.move(name, staged(run_id, name))


def put_other_files(tree: Tree, run_id: str) -> None:
    """After the rows have changed: replace and remove files, and keep the old ones for undo."""
    for name, action in _read_plan(tree, run_id):
        if action == "replace" and tree.exists(staged(run_id, name)):
            if not tree.exists(kept(run_id, name)):
                tree.copy(name, kept(run_id, name))
            tree.move(staged(run_id, name), name)
        elif action == "remove" and tree.exists(name):
            tree.move(name, kept(run_id, name))
        elif not tree.exists(name) and action != "remove":
            raise HandoverChanged(
                "the file is neither staged nor in place",
                obj=f"storage {tree.alias}: {name}",
                hint="Something else removed it. Restore the files again with --type files.",
            )


def forget(tree: Tree, run_id: str) -> None:
    """Remove all that a run staged and kept in the storage."""
    tree.remove_folder(f"{RESERVED}/{run_id}")


def runs_with_files(tree: Tree) -> list[str]:
    """Return the ids of the runs that have something staged or kept in the storage."""
    try:
        return sorted(tree.storage.listdir(RESERVED)[0])
    except FileNotFoundError:
        return []


def _compare(tree: Tree, wanted: Iterable[Entry]) -> Iterator[tuple[str, Action]]:
    """Walk both sets side by side: neither is ever in memory."""
    present = tree.names()
    there = next(present, None)
    for entry in wanted:
        while there is not None and _order(there) < _order(entry.name):
            yield there, "remove"
            there = next(present, None)
        if there != entry.name:
            yield entry.name, "add"
            continue
        if tree.storage.size(there) != entry.size or tree.entry(there) != entry:
            yield there, "replace"
        there = next(present, None)
    while there is not None:
        yield there, "remove"
        there = next(present, None)


def _order(name: str) -> list[str]:
    return name.split("/")


def _plan_name(run_id: str) -> str:
    return f"{RESERVED}/{run_id}/plan.jsonl"


def _read_plan(tree: Tree, run_id: str) -> Iterator[tuple[str, Action]]:
    with tree.open(_plan_name(run_id)) as lines:
        for line in lines:
            record = json.loads(line)
            yield record["name"], record["action"]


def _write_plan(tree: Tree, run_id: str, plan: Iterable[tuple[str, Action]]) -> None:
    with TemporaryFile() as lines:
        for name, action in plan:
            lines.write(json.dumps({"name": name, "action": action}).encode() + b"\n")
        lines.seek(0)
        tree.write(_plan_name(run_id), cast(BinaryIO, lines))


def _make_durable(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
