"""Workers that do not share their folders are told so, and do nothing."""

import socket
from collections.abc import Mapping
from pathlib import Path
from threading import Barrier, Thread
from typing import Any

import pytest
from django.db import connections
from pytest_django import Settings

from backup_tasks import ledger
from backup_tasks.backup import storage_ids
from backup_tasks.errors import BackupError, HandoverChanged, Misconfigured
from backup_tasks.models import Run, StorageId
from backup_tasks.runs import execution
from tests.services import Project
from tests.unit.runs.conftest import StartRun, Verbs, steps_of

HERE = socket.gethostname()


@pytest.fixture
def engine() -> str:
    return "sqlite"


def failure(run: Run, step: str) -> BackupError:
    outcome = execution.execute_step(run.pk, step)
    assert isinstance(outcome, execution.Failed), outcome
    return outcome.error


def on_another_host(run: Run) -> None:
    steps_of(run).filter(state="succeeded").update(owner="worker-a:-:1:-")


def test_the_first_run_adopts_what_it_finds(start_run: StartRun, verbs: Verbs) -> None:
    verbs()

    execution.execute_step(start_run().pk, "snapshot")

    assert {row.name: row.host for row in StorageId.objects.all()} == {
        "storage default": HERE,
        "workspace": HERE,
    }


def test_an_id_that_is_there_already_is_the_one_of_a_new_ledger(
    start_run: StartRun, verbs: Verbs, on_project: Project
) -> None:
    verbs()
    execution.execute_step(start_run().pk, "snapshot")
    before = StorageId.objects.get(name="storage default").value
    StorageId.objects.all().delete()

    execution.execute_step(start_run().pk, "snapshot")

    assert StorageId.objects.get(name="storage default").value == before


@pytest.mark.parametrize("engine", ["sqlite", "postgres"])
def test_of_workers_that_adopt_at_once_the_others_find_what_the_first_wrote(
    on_project: Project,
) -> None:
    together = Barrier(4)
    failed: list[Exception] = []

    def worker() -> None:
        try:
            together.wait()
            storage_ids.recognize("backup")
        except Exception as error:  # noqa: BLE001  # told below
            failed.append(error)
        finally:
            connections.close_all()

    threads = [Thread(target=worker) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failed == []
    written = (on_project.media / ".backup_tasks" / "id").read_text().strip()
    assert StorageId.objects.get(name="storage default").value == written


def test_a_workspace_of_another_host_is_told_before_any_work(
    start_run: StartRun, verbs: Verbs, settings: Settings, tmp_path: Path
) -> None:
    executed = verbs()
    run = start_run()
    execution.execute_step(run.pk, "snapshot")
    StorageId.objects.filter(name="workspace").update(host="worker-a")
    settings.BACKUP = {**settings.BACKUP, "WORKSPACE": str(tmp_path / "its own")}

    error = failure(run, "dump")

    assert isinstance(error, HandoverChanged)
    assert f"{HERE} has another workspace than worker-a" in error.what
    assert executed == ["snapshot"]
    assert not (tmp_path / "its own").exists()


def test_a_workspace_that_is_gone_is_told_with_the_hosts_of_the_steps_before(
    start_run: StartRun, verbs: Verbs, on_project: Project
) -> None:
    executed = verbs()
    run = start_run()
    execution.execute_step(run.pk, "snapshot")
    on_another_host(run)
    (on_project.workspace / run.pk).rmdir()

    error = failure(run, "dump")

    assert isinstance(error, HandoverChanged)
    assert HERE in error.what
    assert "snapshot on worker-a" in error.what
    assert "BACKUP['WORKSPACE']" in error.hint
    assert executed == ["snapshot"]


def test_a_store_that_is_not_shared_is_told_with_both_hosts(
    on_project: Project, settings: Settings, tmp_path: Path
) -> None:
    run, _ = ledger.start(
        "backup",
        params={"type": "full"},
        trigger="command",
        step_names=["snapshot", "dump", "pack", "verify"],
    )
    for step in ("snapshot", "dump", "pack"):
        execution.execute_step(run.pk, step)
    on_another_host(run)
    store: Mapping[str, Any] = settings.STORAGES["backups"]
    other = {**store, "OPTIONS": {"location": str(tmp_path / "its own")}}
    settings.STORAGES = {**settings.STORAGES, "backups": other}

    error = failure(run, "verify")

    assert isinstance(error, HandoverChanged)
    assert f"worker-a has published the package, and {HERE} does not find it" in error.what
    assert "STORES" in error.hint


def test_a_storage_is_not_adopted_while_it_misses_the_files_of_earlier_packages(
    on_project: Project, start_run: StartRun, verbs: Verbs
) -> None:
    """The ledger of a version that knew no ids."""
    verbs()
    earlier = start_run()
    Run.objects.filter(pk=earlier.pk).update(state="succeeded", report={"files": {"expected": 20}})

    error = failure(start_run(), "snapshot")

    assert isinstance(error, Misconfigured)
    assert "earlier packages had files" in error.what
    assert "MEDIA_ROOT" in error.hint
    assert not StorageId.objects.filter(name="storage default").exists()
    assert not (on_project.media / ".backup_tasks").exists()


def test_who_only_verifies_needs_no_files(on_project: Project, settings: Settings) -> None:
    storage_ids.recognize("backup")
    settings.MEDIA_ROOT = str(on_project.folder / "elsewhere")

    storage_ids.recognize("verify")

    with pytest.raises(Misconfigured):
        storage_ids.recognize("backup")
