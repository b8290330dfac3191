"""The run folder in a storage. A run writes to live's files only through it.

`.backup_tasks/RUN/` has what a restore staged (`staging/`), what it replaced or removed (`kept/`),
and what is to happen to each name (`plan.jsonl`). Whoever writes to live's files takes the
folder first: renames it to a name that nobody else knows, `.backup_tasks/RUN.5f0c…/`. Each write to
live's files moves a file out of this folder or into it, in one system call. A process that was
stopped, and continues after another has taken the folder, does not find it under its old name, and
changes nothing: docs/adr/0007.

A storage that is no file system can't rename a folder. There the ledger is asked before each
change. On S3 it is asked right before each request is sent, and the request is refused if somebody
has changed the object since (`storage.s3_conditions`). Files are copied before they are removed
from live.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from heapq import merge
from io import BytesIO
from itertools import groupby
from types import TracebackType
from typing import BinaryIO, Self
from uuid import uuid4

from backup_tasks.errors import HandoverChanged, StorageUnavailable
from backup_tasks.package.names import RESERVED
from backup_tasks.storage import s3_conditions
from backup_tasks.storage.files import Tree
from backup_tasks.storage.folder_scan import in_order

ANSWER_HOLDS = 0.1
"""Seconds for which an answer of the ledger is valid."""
_PLAN = "plan.jsonl"
_PLANNED = "planned"
"""Written after the plan if folders can't be renamed. A plan without it does not count: its request
may have come late, when the run had ended and its folder was removed."""
_LEFT = "left.jsonl"
"""What live had under names that late requests of other runs may still change: S3 only, see
`restore.late_requests`."""


class Ask:
    """Asks whether this process may continue, at most once in `ANSWER_HOLDS` seconds.

    The question raises an error if it may not.
    """

    def __init__(self, question: Callable[[], None]) -> None:
        self._question, self._asked_at = question, float("-inf")

    def __call__(self) -> None:
        if _clock() - self._asked_at > ANSWER_HOLDS:
            self.now()

    def now(self) -> None:
        """Ask, even if the last answer is still valid."""
        began = _clock()
        self._question()
        self._asked_at = began


def _clock() -> float:
    """Return seconds that include the time of a suspended machine, if the system counts it."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class RunFolder:
    """The folder of a run in one storage. Inside `with` this process holds it.

    Every method raises what `ask` raises, and HandoverChanged if the folder is gone.
    """

    def __init__(self, tree: Tree, run_id: str, ask: Ask) -> None:
        self.tree, self.run_id, self._ask = tree, run_id, ask
        self._at = released_name(run_id)

    def __enter__(self) -> Self:
        if not self.tree.is_local:
            self._ask.now()
            return self
        while True:
            # Find the name before asking: whoever takes the folder from now on renames it.
            found = _current_name(self.tree, self.run_id)
            self._ask.now()
            mine = f"{self._at}.{uuid4().hex}"
            if found is None:
                self.tree.make_folder(self._at)
            elif self.tree.rename_folder(found, mine):
                self._at = mine
                return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        mine, self._at = self._at, released_name(self.run_id)
        if mine != self._at and not self.tree.remove_if_empty(mine):
            # Fails if another process holds it now, or if one without the lease has created the
            # released name. The folder then keeps its present name.
            self.tree.rename_folder(mine, self._at)

    def of(self, run_id: str) -> RunFolder:
        """Return the folder of another run in this storage, to look into it."""
        return RunFolder(self.tree, run_id, self._ask)

    def staged(self, name: str = "") -> str:
        """Return the name under which a file is staged."""
        return f"{self._at}/staging/{name}".rstrip("/")

    def kept(self, name: str = "") -> str:
        """Return the name under which a file that was replaced or removed is kept."""
        return f"{self._at}/kept/{name}".rstrip("/")

    def rolled_back(self, name: str = "") -> str:
        """Return the name under which a copy of a file that was rolled back is kept."""
        return f"{self._at}/taken/{name}".rstrip("/")

    @property
    def has_plan(self) -> bool:
        """Whether the run changes files of this storage."""
        names = (_PLAN,) if self.tree.is_local else (_PLANNED, _PLAN)
        return all(self.tree.exists(f"{self._at}/{name}") for name in names)

    def open_plan(self) -> BinaryIO:
        """Open the plan for reading."""
        with self._fenced():
            return self.tree.open(f"{self._at}/{_PLAN}")

    def write_plan(self, content: BinaryIO) -> None:
        """Write the plan: all of it, or none."""
        name = f"{self._at}/{_PLAN}"
        with self._changing(name, long=True):
            self.tree.write(name, content, below=self._at)
        if not self.tree.is_local:
            with self._fenced(long=True):
                self.tree.write(f"{self._at}/{_PLANNED}", BytesIO())

    def copies(self, *, kept: bool = True) -> Iterator[str]:
        """Yield the names of the files of which there are copies, in the order of `Tree.names`."""

        def names(below: str) -> Iterator[str]:
            return (each.name.removeprefix(f"{below}/") for each in self.tree.found(below))

        folders = [self.rolled_back(), *([self.kept()] if kept else [])]
        return unique(merge(*map(names, folders), key=order))

    @property
    def has_left(self) -> bool:
        """Whether it is recorded what live had before the run."""
        return self.tree.exists(f"{self._at}/{_LEFT}")

    def open_left(self) -> BinaryIO:
        """Open what is recorded of live before the run."""
        with self._fenced():
            return self.tree.open(f"{self._at}/{_LEFT}")

    def write_left(self, content: BinaryIO) -> None:
        """Record what live has before the run. S3 only."""
        with self._changing(f"{self._at}/{_LEFT}", long=True):
            self.tree.write(f"{self._at}/{_LEFT}", content)

    def drop_plan(self) -> None:
        """Remove a plan of which nothing has been done."""
        for name in (_PLAN,) if self.tree.is_local else (_PLANNED, _PLAN, _LEFT):
            with self._fenced():
                self.tree.delete(f"{self._at}/{name}")

    def move_to_live(self, name: str) -> None:
        """Move a staged file to live, and replace the file of that name."""
        self._move(self.staged(name), name)

    def roll_back(self, name: str) -> None:
        """Move a file from live back to staging. In a storage that can't rename, a late deletion
        may remove the file after another process has added it again, so a copy is kept."""
        if not self.tree.is_local:
            with self._changing(self.rolled_back(name)):
                self.tree.copy(name, self.rolled_back(name))
        self._move(name, self.staged(name))

    def restore_lost(self, name: str) -> bool:
        """Restore a file that live lacks and that was rolled back. Return whether there was one."""
        for source in (self.staged(name), self.rolled_back(name)):
            if not self.tree.exists(name) and self.tree.exists(source):
                self._move(source, name)
                return True
        return False

    def has_copy_of(self, name: str) -> bool:
        """Whether the same file is in live and staged: a move by copy and deletion was cut off."""
        if self.tree.is_local:
            return False
        there, staged = self.tree.entry(name), self.tree.entry(self.staged(name))
        return (there.size, there.sha256) == (staged.size, staged.sha256)

    def keep(self, name: str) -> None:
        """Keep a copy of live's file."""
        with self._changing(self.kept(name)):
            self.tree.copy(name, self.kept(name), below=self._at)

    def move_from_live(self, name: str) -> None:
        """Move a file of live to where it is kept."""
        self._move(name, self.kept(name))

    def put_back(self, source: str, name: str, *, wanted_by: str) -> None:
        """Put one of the run's copies in live's place, as the run `wanted_by` wants it. S3 only."""
        with self._changing(name, writer=wanted_by):
            self.tree.copy(source, name)

    def stage_kept_of(self, other: RunFolder, name: str) -> None:
        """Stage a copy of the file that the other run has kept."""
        with self._changing(self.staged(name)):
            self.tree.copy(other.kept(name), self.staged(name), below=self._at)

    def remove(self, folder: str = "") -> None:
        """Remove all of it, or one folder in it (`staged()`, `kept()`)."""
        if self.tree.is_local:
            with self._fenced():
                self.tree.remove_folder(folder or self._at)
            return
        for found in list(self.tree.found(folder or self._at)):
            with self._fenced():
                self.tree.delete(found.name)

    def _move(self, source: str, target: str) -> None:
        if self.tree.is_local:
            with self._fenced():
                below = self._at if target.startswith(RESERVED) else ""
                self.tree.move(source, target, below=below)
            return
        copied = self._unless_changed(source)
        with self._changing(target):
            self.tree.copy(source, target)
        with self._fenced(long=True), copied:
            self.tree.delete(source)

    @contextmanager
    def _changing(self, name: str, *, long: bool = False, writer: str = "") -> Iterator[None]:
        """Guard a change of the file. If the folder can't be the fence, the ledger is asked each
        time, after the file's state was read. The change then fails if the state has changed."""
        unchanged = self._unless_changed(name, writer or self.run_id)
        with self._fenced(long=long or not self.tree.is_local), unchanged:
            yield

    def _unless_changed(self, name: str, writer: str = "") -> AbstractContextManager[None]:
        """Look at an object of S3 now. Inside what is returned, the ledger is asked right before
        each request that changes it, and S3 refuses the request if it is not as it was. Other
        storages have nothing like it."""
        with self.tree.failures(name):
            found = s3_conditions.condition(self.tree.storage, name)
        if found is None:
            return nullcontext()
        of_live = not name.startswith(f"{RESERVED}/")
        return found.required(self._ask.now, writer=writer if of_live else "")

    @contextmanager
    def _fenced(self, *, long: bool = False) -> Iterator[None]:
        """Ask before a change. After a `long` operation, ask even if the last answer is valid."""
        (self._ask.now if long else self._ask)()
        try:
            yield
        except StorageUnavailable:
            self._ask.now()  # another process may have moved it
            raise
        except FileNotFoundError as error:
            if self.tree.is_local and not self.tree.is_folder(self._at):
                self._ask.now()
                raise HandoverChanged(
                    "what the run staged is gone",
                    obj=f"storage {self.tree.alias}: {released_name(self.run_id)}",
                    hint="Something else removed it. Start a new run.",
                ) from error
            raise


@contextmanager
def held_folders(trees: Sequence[Tree], run_id: str, ask: Ask) -> Iterator[list[RunFolder]]:
    """Hold the run's folders in all of these storages."""
    with ExitStack() as stack:
        yield [stack.enter_context(RunFolder(tree, run_id, ask)) for tree in trees]


def copies_of_others(
    folder: RunFolder, keeps: Callable[[str], bool] = lambda run_id: True
) -> Iterator[str]:
    """Yield the names of live's files that late requests of other runs may change: those of which
    they have copies. None on a file system. `keeps` tells whether what a run kept counts."""
    if folder.tree.is_local:
        return iter(())
    others = [folder.of(run) for run in runs_with_folder(folder.tree) if run != folder.run_id]
    copies = [each.copies(kept=keeps(each.run_id)) for each in others]
    return unique(merge(*copies, key=order))


def order(name: str) -> list[bytes]:
    """Return what names are sorted by."""
    return [in_order(part) for part in name.split("/")]


def unique(names: Iterable[str]) -> Iterator[str]:
    """Yield each of the sorted names once."""
    return (name for name, _ in groupby(names))


def released_name(run_id: str) -> str:
    """Return the name of a run's folder that nobody holds."""
    return f"{RESERVED}/{run_id}"


def runs_with_folder(tree: Tree) -> dict[str, bool]:
    """Return the runs that have a folder in the storage. The value is True if the folder is held,
    or its holder died."""
    runs: dict[str, bool] = {}
    for name in tree.run_folders():
        run_id, dot, _ = name.partition(".")
        runs[run_id] = runs.get(run_id, False) or bool(dot)
    return dict(sorted(runs.items()))


def with_folder(trees: Sequence[Tree], run_id: str) -> list[Tree]:
    """Return the storages in which the run has a folder."""
    return [tree for tree in trees if run_id in runs_with_folder(tree)]


def _current_name(tree: Tree, run_id: str) -> str | None:
    """Return the present name of the run's folder. A second folder was made by a process without
    the lease: it has no plan, or the released name while another process held the real one.
    """
    names = [name for name in tree.run_folders() if name.partition(".")[0] == run_id]
    found = [f"{RESERVED}/{name}" for name in names]
    return max(found, key=lambda name: (tree.exists(f"{name}/{_PLAN}"), len(name)), default=None)
