"""The parallel dump: a pool of workers finds what one process finds alone."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import psycopg
import pytest
from django.contrib.auth import get_user_model
from django.db import connections, transaction
from pytest_django import Settings

from backup_tasks.conf import backup_settings
from backup_tasks.engines import engine_for
from backup_tasks.errors import Cancelled
from backup_tasks.rows import parallel_dump, worker_pool
from backup_tasks.rows.codec import RowCodec
from backup_tasks.rows.identities import settled_identities
from backup_tasks.rows.parallel_dump import DumpedModel, Job, dump_all
from backup_tasks.rows.scope import full_scope
from backup_tasks.rows.worker_pool import WorkerTask
from tests.integration.engines.conftest import After
from tests.services import MakeProject, Project


def jobs(folder: Path | None = None) -> list[Job]:
    """Every model in scope, as the alias sees it now."""
    found, connection = backup_settings(), connections["default"]
    included = full_scope(found).included
    identities, _ = settled_identities(connection, included, found.natural_keys)
    codecs = [RowCodec(model, identities, connection) for model in included]
    return [Job(codec=codec, member=folder and folder / codec.label) for codec in codecs]


def read_here(folder: Path) -> list[DumpedModel]:
    """What one process finds alone."""
    folder.mkdir()
    return [parallel_dump.dump_one(job, lambda rows: None) for job in jobs(folder)]


def test_workers_find_and_write_the_same(
    demo: Project,
    done_by_workers: list[str],
    after: After,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 3)  # two of them
    engine = engine_for("default")
    seen: list[int] = []
    (tmp_path / "done_by_workers").mkdir()
    with engine.snapshot():
        alone = read_here(tmp_path / "alone")
        after(parallel_dump, "dump_one", lambda: len(done_by_workers) > 1)
        found = dump_all(
            engine, jobs(tmp_path / "done_by_workers"), lambda rows, note: seen.append(rows)
        )

    assert found == alone
    assert _contents(tmp_path / "done_by_workers") == _contents(tmp_path / "alone")
    assert seen[-1] == sum(read.dumped.count for read in alone)
    assert done_by_workers


def _contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_workers_see_the_snapshot_not_what_was_written_since(
    demo: Project, done_by_workers: list[str], after: After
) -> None:
    engine = engine_for("default")
    with engine.snapshot():
        alone = [parallel_dump.dump_one(job, lambda rows: None).dumped for job in jobs()]
        with psycopg.connect(demo.database_url) as other:
            other.execute("UPDATE users_user SET first_name = 'Somebody else'")
        after(parallel_dump, "dump_one", lambda: "users.user" in done_by_workers)
        found = dump_all(engine, jobs(), lambda rows, note: None)

    assert [read.dumped for read in found] == alone
    assert get_user_model().objects.filter(first_name="Somebody else").exists()


def test_workers_read_staging_too(demo: Project, done_by_workers: list[str], after: After) -> None:
    engine = engine_for("default")
    tables = [job.codec.table for job in jobs()]
    schema = engine.schema_name("staging", "x")
    engine.clone(schema, tables)
    with engine.at(schema), engine.loading(tables, attempt=1):
        engine.copy_from_live(tables)
    get_user_model().objects.update(first_name="Only in live")
    with engine.at(schema), transaction.atomic():
        alone = [parallel_dump.dump_one(job, lambda rows: None) for job in jobs()]
        after(parallel_dump, "dump_one", lambda: "users.user" in done_by_workers)
        found = dump_all(engine, jobs(), lambda rows, note: None, schema=schema)

    assert found == alone


@pytest.mark.parametrize(
    "elsewhere",
    ["another database", "another kind", "another schema", "nowhere", "no settings", "other code"],
)
def test_what_workers_can_not_read_is_read_by_this_process(
    demo: Project,
    make_project: MakeProject,
    monkeypatch: pytest.MonkeyPatch,
    settings: Settings,
    caplog: pytest.LogCaptureFixture,
    after: After,
    elsewhere: str,
    tmp_path: Path,
) -> None:
    if elsewhere == "another database":
        other = make_project("postgres", demo=True).database_url
        monkeypatch.setenv("DATABASE_URL", other)
    elif elsewhere == "another kind":
        monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path}/other.sqlite3")
    elif elsewhere == "nowhere":
        monkeypatch.setenv("DATABASE_URL", "postgresql://nobody@127.0.0.1:1/nothing")
    elif elsewhere == "no settings":
        settings.SETTINGS_MODULE = "no.such.settings"
    else:
        monkeypatch.setattr(worker_pool, "_columns", lambda codec: [["as", "it", "was"]])
    engine = engine_for("default")
    with engine.snapshot():
        alone = read_here(tmp_path / "alone")
        if elsewhere == "another schema":
            with psycopg.connect(demo.database_url) as client:
                client.execute("CREATE SCHEMA elsewhere")
                name = client.info.dbname
                client.execute(f'ALTER DATABASE "{name}" SET search_path = elsewhere, public')
        after(parallel_dump, "dump_one", lambda: "a parallel worker failed" in caplog.text)
        found = dump_all(engine, jobs(), lambda rows, note: None)

    assert [read.dumped.digest for read in found] == [read.dumped.digest for read in alone]


def test_without_any_worker_this_process_reads_all(
    demo: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    engine = engine_for("default")
    with engine.snapshot():
        found = dump_all(engine, jobs(), lambda rows, note: None)

    assert sum(read.dumped.count for read in found) > 100


def test_the_model_of_a_killed_worker_is_read_by_this_process(
    demo: Project,
    kill_workers: Callable[[], None],
    caplog: pytest.LogCaptureFixture,
    after: After,
    tmp_path: Path,
) -> None:
    engine = engine_for("default")
    (tmp_path / "done_by_workers").mkdir()
    with engine.snapshot():
        alone = read_here(tmp_path / "alone")
        kill_workers()
        after(parallel_dump, "dump_one", lambda: "a parallel worker failed" in caplog.text)
        found = dump_all(engine, jobs(tmp_path / "done_by_workers"), lambda rows, note: None)

    assert found == alone
    assert _contents(tmp_path / "done_by_workers") == _contents(tmp_path / "alone")


def test_no_worker_outlives_a_cancelled_run(demo: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[subprocess.Popen[str]] = []
    popen = subprocess.Popen

    def start(*arguments: Any, **options: Any) -> subprocess.Popen[str]:
        started.append(popen(*arguments, **options))
        return started[-1]

    def cancelled(rows: int, note: str) -> None:
        raise Cancelled("cancelled", obj="x")

    monkeypatch.setattr(subprocess, "Popen", start)
    engine = engine_for("default")
    with engine.snapshot(), pytest.raises(Cancelled):
        dump_all(engine, jobs(), cancelled)

    assert [process.poll() is None for process in started] == [False]


def test_a_worker_ends_with_the_process_that_started_it(demo: Project) -> None:
    """However that process ended: its pipes are closed."""
    engine = engine_for("default")
    with engine.snapshot():
        shared = engine.export_snapshot([], least=0)
        assert shared
        terms = WorkerTask[Job, DumpedModel](
            worker_side="backup_tasks.rows.parallel_dump.worker_side",
            token=shared.token,
            schema=None,
            order=lambda job: {},
            read=Mock(),
        )
        worker = subprocess.Popen(
            [sys.executable, "-c", worker_pool._PROGRAM],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert worker.stdin
        assert worker.stdout
        worker.stdin.write(worker_pool._start("default", terms, jobs()[0].codec) + "\n")
        worker.stdin.flush()
        assert json.loads(worker.stdout.readline()) == {"ready": True}
        worker.stdin.close()
        worker.stdout.close()

        assert worker.wait(timeout=20) == 0


def test_settings_that_only_this_process_has_are_not_left_to_workers(
    demo: Project, monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    settings.SETTINGS_MODULE = None
    monkeypatch.setattr(subprocess, "Popen", None)
    engine = engine_for("default")
    with engine.snapshot():
        found = dump_all(engine, jobs(), lambda rows, note: None)

    assert sum(read.dumped.count for read in found) > 100
