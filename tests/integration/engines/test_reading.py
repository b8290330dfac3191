"""Helpers read along: what is found is what one process finds alone."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.contrib.auth import get_user_model
from django.db import connections, transaction
from pytest_django import DjangoDbBlocker, Settings

from backup_tasks import reading
from backup_tasks.conf import backup_settings
from backup_tasks.engines import engine_for
from backup_tasks.errors import Cancelled
from backup_tasks.reading import Job, Read, read_all
from backup_tasks.rows.identities import settled_identities
from backup_tasks.rows.scope import full_scope
from backup_tasks.rows.shape import Shape
from tests.services import MakeProject, Project, as_default_database

Wait = Callable[[Callable[[], bool]], None]


@pytest.fixture
def demo(
    make_project: MakeProject,
    django_db_blocker: DjangoDbBlocker,
    monkeypatch: pytest.MonkeyPatch,
    settings: Settings,
) -> Iterator[Project]:
    """A project on PostgreSQL, whose few rows are worth two helpers."""
    project = make_project("postgres", demo=True)
    settings.SETTINGS_MODULE = "edms.settings"  # helpers don't have the settings of a test
    monkeypatch.setattr(reading, "WORTH_A_HELPER", 1)
    monkeypatch.setattr(os, "cpu_count", lambda: 3)
    for name, value in project.env.items():
        monkeypatch.setenv(name, value)
    with django_db_blocker.unblock(), as_default_database(project):
        yield project


@pytest.fixture
def helped(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The models that helpers have read."""
    names: list[str] = []
    ask = reading._Helper._ask

    def asked(helper: Any, job: Job) -> Read:
        found = ask(helper, job)
        names.append(job.shape.label)
        return found

    monkeypatch.setattr(reading._Helper, "_ask", asked)
    return names


@pytest.fixture
def after(monkeypatch: pytest.MonkeyPatch) -> Wait:
    """Let this process read nothing until something has happened: helpers take a second to start,
    and there is little to read."""
    read = reading.read

    def wait(happened: Callable[[], bool]) -> None:
        def patiently(job: Job, progress: Callable[[int], None]) -> Read:
            deadline = time.monotonic() + 60
            while not happened():
                assert time.monotonic() < deadline, "helpers did nothing"
                time.sleep(0.05)
            return read(job, progress)

        monkeypatch.setattr(reading, "read", patiently)

    return wait


def jobs(folder: Path | None = None) -> list[Job]:
    """Every model in scope, as the alias sees it now."""
    found, connection = backup_settings(), connections["default"]
    included = full_scope(found).included
    identities, _ = settled_identities(connection, included, found.natural_keys)
    shapes = [Shape(model, identities, connection) for model in included]
    return [Job(shape=shape, member=folder and folder / shape.label) for shape in shapes]


def read_here(folder: Path) -> list[Read]:
    """What one process finds alone."""
    folder.mkdir()
    return [reading.read(job, lambda rows: None) for job in jobs(folder)]


def test_helpers_find_and_write_the_same(
    demo: Project, helped: list[str], after: Wait, tmp_path: Path
) -> None:
    engine = engine_for("default")
    seen: list[int] = []
    (tmp_path / "helped").mkdir()
    with engine.snapshot():
        alone = read_here(tmp_path / "alone")
        after(lambda: len(helped) > 1)
        found = read_all(engine, jobs(tmp_path / "helped"), lambda rows, note: seen.append(rows))

    assert found == alone
    assert _contents(tmp_path / "helped") == _contents(tmp_path / "alone")
    assert seen[-1] == sum(read.dumped.count for read in alone)
    assert helped


def _contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_helpers_see_the_snapshot_not_what_was_written_since(
    demo: Project, helped: list[str], after: Wait
) -> None:
    engine = engine_for("default")
    with engine.snapshot():
        alone = [reading.read(job, lambda rows: None).dumped for job in jobs()]
        with psycopg.connect(demo.database_url) as other:
            other.execute("UPDATE users_user SET first_name = 'Somebody else'")
        after(lambda: "users.user" in helped)
        found = read_all(engine, jobs(), lambda rows, note: None)

    assert [read.dumped for read in found] == alone
    assert get_user_model().objects.filter(first_name="Somebody else").exists()


def test_helpers_read_a_place_too(demo: Project, helped: list[str], after: Wait) -> None:
    engine = engine_for("default")
    tables = [job.shape.table for job in jobs()]
    place = engine.place("staging", "x")
    engine.clone(place, tables)
    with engine.at(place), engine.loading(tables):
        engine.carry(tables)
    get_user_model().objects.update(first_name="Only in live")
    with engine.at(place), transaction.atomic():
        alone = [reading.read(job, lambda rows: None) for job in jobs()]
        after(lambda: "users.user" in helped)
        found = read_all(engine, jobs(), lambda rows, note: None, place=place)

    assert found == alone


@pytest.mark.parametrize(
    "elsewhere",
    ["another database", "another kind", "another schema", "nowhere", "no settings", "other code"],
)
def test_what_helpers_can_not_read_is_read_here(
    demo: Project,
    make_project: MakeProject,
    monkeypatch: pytest.MonkeyPatch,
    settings: Settings,
    caplog: pytest.LogCaptureFixture,
    after: Wait,
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
        monkeypatch.setattr(reading, "_columns", lambda shape: [["as", "it", "was"]])
    engine = engine_for("default")
    with engine.snapshot():
        alone = read_here(tmp_path / "alone")
        if elsewhere == "another schema":
            with psycopg.connect(demo.database_url) as client:
                client.execute("CREATE SCHEMA elsewhere")
                name = client.info.dbname
                client.execute(f'ALTER DATABASE "{name}" SET search_path = elsewhere, public')
        after(lambda: caplog.text.count("a helper gave up") == 2)
        found = read_all(engine, jobs(), lambda rows, note: None)

    assert [read.dumped.digest for read in found] == [read.dumped.digest for read in alone]


def test_where_no_process_can_be_started_all_is_read_here(
    demo: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    engine = engine_for("default")
    with engine.snapshot():
        found = read_all(engine, jobs(), lambda rows, note: None)

    assert sum(read.dumped.count for read in found) > 100


def test_what_a_killed_helper_was_at_is_read_here(
    demo: Project,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    after: Wait,
    tmp_path: Path,
) -> None:
    say = reading._Helper._say

    def killed(helper: Any, line: str) -> None:
        say(helper, line)
        if '"model"' in line:
            helper._process.kill()

    engine = engine_for("default")
    (tmp_path / "helped").mkdir()
    with engine.snapshot():
        alone = read_here(tmp_path / "alone")
        monkeypatch.setattr(reading._Helper, "_say", killed)
        after(lambda: caplog.text.count("a helper gave up") == 2)
        found = read_all(engine, jobs(tmp_path / "helped"), lambda rows, note: None)

    assert found == alone
    assert _contents(tmp_path / "helped") == _contents(tmp_path / "alone")


def test_no_helper_outlives_a_cancelled_run(demo: Project, monkeypatch: pytest.MonkeyPatch) -> None:
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
        read_all(engine, jobs(), cancelled)

    assert [process.poll() is None for process in started] == [False, False]


def test_a_helper_ends_with_the_process_that_it_helps(demo: Project) -> None:
    """However that ended: nothing is left but the closed ends of two pipes."""
    engine = engine_for("default")
    with engine.snapshot():
        shared = engine.shared([], least=0)
        assert shared
        helper = subprocess.Popen(
            [sys.executable, "-c", reading._PROGRAM],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert helper.stdin
        assert helper.stdout
        helper.stdin.write(reading._start(engine, shared, None, jobs()[0].shape.identities) + "\n")
        helper.stdin.flush()
        assert json.loads(helper.stdout.readline()) == {"ready": True}
        helper.stdin.close()
        helper.stdout.close()

        assert helper.wait(timeout=20) == 0


def test_settings_that_only_this_process_has_are_not_left_to_helpers(
    demo: Project, monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    settings.SETTINGS_MODULE = None
    monkeypatch.setattr(subprocess, "Popen", None)
    engine = engine_for("default")
    with engine.snapshot():
        found = read_all(engine, jobs(), lambda rows, note: None)

    assert sum(read.dumped.count for read in found) > 100
