"""A small live database per engine, and a project whose models a worker pool reads and loads."""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from pytest_django import DjangoDbBlocker, Settings

from backup_tasks.rows import worker_pool
from tests.integration.engines.every_object import grown_database
from tests.integration.engines.live_database import LiveDatabase, make_live_database, server_or_file
from tests.integration.engines.walled import LIVE
from tests.services import EVERY_ENGINE, MakeProject, Project, Server, as_default_database

After = Callable[[ModuleType, str, Callable[[], bool]], None]


@pytest.fixture(params=EVERY_ENGINE)
def engine(request: pytest.FixtureRequest) -> str:
    """Run a test once per engine."""
    name: str = request.param
    return name


@pytest.fixture
def database(
    engine: str,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    django_db_blocker: DjangoDbBlocker,
) -> Iterator[LiveDatabase]:
    """A live database with two tables to promote and others outside, once per engine."""
    server: Server | None = None if engine == "sqlite" else request.getfixturevalue(engine)
    name = server.new_name() if server else ""
    url = server.create_database(name) if server else ""
    project = server_or_file(engine, tmp_path, url)
    with django_db_blocker.unblock(), as_default_database(project):
        yield make_live_database(project)
    if server:
        server.drop_database(name)


@pytest.fixture
def grown(database: LiveDatabase) -> Iterator[LiveDatabase]:
    """Live with every kind of object (PostgreSQL)."""
    with grown_database(database):
        yield database


@pytest.fixture
def demo(
    make_project: MakeProject,
    django_db_blocker: DjangoDbBlocker,
    monkeypatch: pytest.MonkeyPatch,
    settings: Settings,
) -> Iterator[Project]:
    """A project on PostgreSQL for which a pool is started although it has few rows."""
    project = make_project("postgres", demo=True)
    settings.SETTINGS_MODULE = "edms.settings"  # workers don't have the settings of a test
    monkeypatch.setattr(worker_pool, "BYTES_PER_WORKER", 1)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    for name, value in project.env.items():
        monkeypatch.setenv(name, value)
    with django_db_blocker.unblock(), as_default_database(project):
        yield project


@pytest.fixture
def done_by_workers(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The labels of the models that workers have finished."""
    names: list[str] = []
    ask = worker_pool._PoolWorker._request

    def asked(worker: Any, job: worker_pool.Job) -> Any:
        found = ask(worker, job)
        names.append(job.codec.label)
        return found

    monkeypatch.setattr(worker_pool._PoolWorker, "_request", asked)
    return names


@pytest.fixture
def kill_workers(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Call it to kill each worker from then on as soon as it gets an order for a model."""
    say = worker_pool._PoolWorker._send

    def killed(worker: Any, line: str) -> None:
        say(worker, line)
        if '"model"' in line:
            worker._process.kill()

    return lambda: monkeypatch.setattr(worker_pool._PoolWorker, "_send", killed)


@pytest.fixture
def after(monkeypatch: pytest.MonkeyPatch) -> After:
    """Make this process wait for the workers: they take a second to start, and there is little to
    do. Call it with the function that has to wait, and the condition to wait for."""

    def wait(module: ModuleType, name: str, happened: Callable[[], bool]) -> None:
        do = getattr(module, name)

        def patiently(*arguments: Any) -> Any:
            deadline = time.monotonic() + 60
            while not happened():
                assert time.monotonic() < deadline, "workers did nothing"
                time.sleep(0.05)
            return do(*arguments)

        monkeypatch.setattr(module, name, patiently)

    return wait


@pytest.fixture
def walled(database: LiveDatabase) -> LiveDatabase:
    """Live with functions and types, and a loaded staging."""
    with database.client() as admin:
        admin.execute(LIVE)
    database.make_staging()
    return database
