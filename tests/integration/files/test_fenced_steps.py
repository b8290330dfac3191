"""A merge or a prune that is stopped before any of its changes, and goes on when another attempt
has finished the step: it changes nothing more, and says that it lost its lease (C26).

Tried within one process, at every change of the step: `make chaos` has real processes, at some.
"""

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from threading import Thread, current_thread, main_thread
from typing import Any

import pytest
from django.db import connections

from backup_tasks import cleanup, moments
from backup_tasks.engines.sqlite.engine import SQLite
from backup_tasks.errors import LeaseLost, Permanent
from backup_tasks.models import Run, Step, UndoPoint
from backup_tasks.restore import file_swap, run_folder
from backup_tasks.runs import chains, execution
from backup_tasks.steps import Work, prune
from backup_tasks.storage import workspace
from backup_tasks.storage.files import Tree
from edms.documents.models import Tag
from tests.acceptance.contents import contents, control, files
from tests.integration.rows.transfer import run
from tests.services import Project

LONG_AGO = moments.now() - timedelta(days=400)
CHANGES = (
    *((Tree, name) for name in ("move", "copy", "write", "delete", "remove_folder")),
    *((Tree, name) for name in ("rename_folder", "remove_if_empty")),
    (SQLite, "drop"),
    (SQLite, "merge_transaction"),
    (UndoPoint, "delete"),
    (workspace, "remove"),
)
"""What changes live, its files, or what is kept. A process is stopped before one of them."""


@pytest.fixture
def engine() -> str:
    """What fences files and the ledger does not depend on the database."""
    return "sqlite"


@dataclass
class Stage:
    """A project whose next step is to be tried from the same state again and again."""

    project: Project
    run: Run
    step: str
    raised: list[Exception] = field(default_factory=list)
    """By the attempt that was stopped."""

    def __post_init__(self) -> None:
        connections.close_all()
        shutil.copytree(self.project.folder, self._copy, symlinks=True)

    @property
    def _copy(self) -> Path:
        return self.project.folder.with_name("copy-of-it")

    def begin_again(self) -> None:
        connections.close_all()
        shutil.rmtree(self.project.folder)
        shutil.copytree(self._copy, self.project.folder, symlinks=True)
        self.raised.clear()

    def attempt(self) -> execution.Outcome:
        return execution.execute_step(self.run.pk, self.step)

    def finish(self) -> None:
        """As another worker: the lease of the one that is stopped has run out."""
        Step.objects.filter(run=self.run, name=self.step).update(
            lease_until=LONG_AGO, owner="another:1:1"
        )
        assert isinstance(self.attempt(), execution.Succeeded)

    def look(self) -> Any:
        """All that there is: rows, the ledger, files, and what is kept."""
        kept = {
            str(path.relative_to(self.project.media)): path.read_bytes()
            for path in self.project.media.rglob("*")
            if path.is_file()
        }
        beside = {path.name for path in self.project.folder.iterdir()}
        beside -= {f"{self.project.database.name}{end}" for end in ("-wal", "-shm")}
        ledger = {name: rows for name, rows in control(self.project).items() if "axes" not in name}
        return contents(self.project), ledger, kept, beside


@contextmanager
def stopped_before(
    stage: Stage, at: int, then: Callable[[], None], changes: Sequence[tuple[Any, str]] = CHANGES
) -> Iterator[list[Any]]:
    """Inside, the main thread is stopped before its change number `at`; `then` happens; it goes on.
    Gives what was there when it went on; nothing if it was not stopped."""
    seen: list[Any] = []
    count = iter(range(10_000))
    verb = execution.verb_of(stage.step)

    def others() -> None:
        try:
            then()
        finally:
            connections.close_all()

    def before(change: Callable[..., Any]) -> Callable[..., Any]:
        def stopping(*args: Any, **options: Any) -> Any:
            if current_thread() is main_thread() and not seen and next(count) == at:
                thread = Thread(target=others)
                thread.start()
                thread.join()
                seen.append(stage.look())
            return change(*args, **options)

        return stopping

    def telling(work: Work) -> dict[str, Any]:
        try:
            with pytest.MonkeyPatch.context() as patch:
                for owner, name in changes if current_thread() is main_thread() else ():
                    patch.setattr(owner, name, before(getattr(owner, name)))
                return verb(work)
        except Exception as error:
            if current_thread() is main_thread():
                stage.raised.append(error)
            raise

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(execution.VERBS, stage.step, telling)
        yield seen


def stop_everywhere(stage: Stage, then: Callable[[], None], *, told: int) -> None:
    """Stop the step before each of its changes. At so many of them, at least, it says itself that
    it has lost its lease; else what it needs next is gone, or it has nothing more to do."""
    lost = 0
    for at in range(1_000):
        stage.begin_again()
        with stopped_before(stage, at, then) as seen:
            outcome = stage.attempt()
        if not seen:
            assert isinstance(outcome, execution.Succeeded)
            break
        assert isinstance(outcome, execution.Lost), (at, outcome)
        assert stage.look() == seen[0], at
        lost += [type(error) for error in stage.raised] == [LeaseLost]
    assert lost >= told


@pytest.fixture(params=[-1, 3600], ids=["asked each time", "asked just before"])
def answer_holds(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> float:
    """For how long an answer of the ledger is valid: the second leaves the folder as the fence."""
    monkeypatch.setattr(run_folder, "ANSWER_HOLDS", request.param)
    return float(request.param)


def work_on(project: Project) -> None:
    """A file is another, one is missing, one is new, and so is a row."""
    changed, missing, *_ = sorted(files(project))
    (project.media / changed).write_bytes(b"changed since")
    (project.media / missing).unlink()
    (project.media / "new.txt").write_bytes(b"written since")
    Tag.objects.create(name="since")


def executed_before(run: Run, step: str) -> None:
    for name in run.steps.order_by("position").values_list("name", flat=True):
        if name == step:
            return
        assert isinstance(execution.execute_step(run.pk, name), execution.Succeeded)


def about_to_merge(project: Project) -> tuple[Stage, str]:
    """A merge that brings back what was changed; and a package of what was there before it."""
    package = run("backup").package
    work_on(project)
    other = run("backup").package
    params = {"package": package, "mode": "merge", "on_conflict": "package", "safety": False}
    merge = chains.start("restore", trigger="command", params=params)
    executed_before(merge, "merge")
    return Stage(project=project, run=merge, step="merge"), other


def test_a_merge_that_was_finished_by_another(
    on_demo_project: Project, answer_holds: float
) -> None:
    stage, _ = about_to_merge(on_demo_project)
    stop_everywhere(stage, stage.finish, told=6)


def test_a_merge_after_which_another_restore_came(on_demo_project: Project) -> None:
    """It has put other files in place of those that the merge had put there."""
    stage, other = about_to_merge(on_demo_project)

    def then() -> None:
        stage.finish()
        run("restore", package=other, safety=False)

    stop_everywhere(stage, then, told=6)


def test_a_merge_whose_step_another_has_claimed_is_not_committed(on_demo_project: Project) -> None:
    """The other has only just begun: staging and the folder are as they were."""
    stage, _ = about_to_merge(on_demo_project)

    def then() -> None:
        Step.objects.filter(run=stage.run, name="merge").update(attempt=2, owner="another:1:1")

    with stopped_before(stage, 0, then, [(SQLite, "merge_transaction")]) as seen:
        outcome = stage.attempt()

    assert isinstance(outcome, execution.Lost)
    assert contents(on_demo_project).tables == seen[0][0].tables
    assert not UndoPoint.objects.exists()
    stage.finish()
    assert UndoPoint.objects.get(pk=stage.run.pk).files_done


@pytest.fixture
def expired(on_demo_project: Project) -> Stage:
    """A prune that is to remove an undo point."""
    package = run("backup").package
    work_on(on_demo_project)
    run("restore", package=package, safety=False)
    UndoPoint.objects.update(expires_at=LONG_AGO)
    pruning = chains.start("prune", trigger="command")
    return Stage(project=on_demo_project, run=pruning, step="prune")


def test_a_prune_of_an_undo_point_that_another_finished(
    expired: Stage, answer_holds: float
) -> None:
    stop_everywhere(expired, expired.finish, told=4)


@pytest.mark.parametrize("moment", ["before its tables go", "before its row goes"])
def test_a_prune_leaves_an_undo_point_that_an_undo_has_begun_with(
    expired: Stage, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """It began when the prune had found nobody at work."""
    if moment == "before its tables go":
        begun = begin_before(prune, "_remove_kept", "undo", monkeypatch)
    else:
        begun = begin_before(run_folder.RunFolder, "remove", "undo", monkeypatch)
    assert isinstance(expired.attempt(), execution.Succeeded)

    assert len(begun) == 1
    assert UndoPoint.objects.filter(expires_at=LONG_AGO).exists()
    if moment == "before its tables go":
        assert isinstance(execution.execute_step(begun[0].pk, "undo"), execution.Succeeded)
        assert Tag.objects.filter(name="since").exists()


def begin_before(owner: Any, name: str, kind: str, monkeypatch: pytest.MonkeyPatch) -> list[Run]:
    """Let a run that writes to live begin right before that is called. Returns it, when it has."""
    begun: list[Run] = []
    original = getattr(owner, name)

    def begin_first(*args: Any) -> Any:
        begun.append(chains.start(kind, trigger="command"))
        return original(*args)

    monkeypatch.setattr(owner, name, begin_first)
    monkeypatch.setattr(run_folder, "ANSWER_HOLDS", -1)
    return begun


@pytest.fixture
def given_up(on_demo_project: Project, monkeypatch: pytest.MonkeyPatch) -> Stage:
    """A prune that is to take back what a restore had added, which failed long ago."""
    package = run("backup").package
    for name in sorted(files(on_demo_project))[:2]:
        (on_demo_project.media / name).unlink()
    with monkeypatch.context() as patch:
        patch.setattr(file_swap, "roll_back_added", lambda folder: None)
        patch.setattr(SQLite, "promote", _fail)
        with pytest.raises(Permanent):
            run("restore", package=package, safety=False)
    Run.objects.filter(state="failed").update(finished_at=LONG_AGO)
    pruning = chains.start("prune", trigger="command")
    return Stage(project=on_demo_project, run=pruning, step="prune")


def _fail(*_: object, **__: object) -> float:
    raise Permanent("the rows did not change")


def test_a_prune_that_takes_files_back_and_that_another_finished(
    given_up: Stage, answer_holds: float
) -> None:
    stop_everywhere(given_up, given_up.finish, told=5)


def test_a_prune_takes_no_files_back_that_another_restore_has_added_since(given_up: Stage) -> None:
    package = Run.objects.get(state="failed").package

    def then() -> None:
        run("restore", package=package, safety=False)
        given_up.finish()

    stop_everywhere(given_up, then, told=5)


def test_a_prune_takes_no_files_back_while_another_run_may_be_adding_them(
    given_up: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It began when the prune had found the folder of the one that failed."""
    before = files(given_up.project)
    begun = begin_before(cleanup, "_remove_files_of", "undo", monkeypatch)

    assert isinstance(given_up.attempt(), execution.Succeeded)

    assert len(begun) == 1
    assert files(given_up.project) == before
    failed = Run.objects.get(state="failed")
    assert (given_up.project.media / ".backup_tasks" / failed.pk / "plan.jsonl").exists()


def test_a_prune_takes_no_files_from_a_merge_that_found_them_added(given_up: Stage) -> None:
    """By a restore that had failed: the merge first takes them back, and then adds them itself."""
    package = Run.objects.get(state="failed").package
    run("restore", package=package, mode="merge", on_conflict="package", safety=False)
    merged = files(given_up.project)

    assert isinstance(given_up.attempt(), execution.Succeeded)

    assert files(given_up.project) == merged
